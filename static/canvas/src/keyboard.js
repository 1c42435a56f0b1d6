import { GRID } from './graph.js'

export const SHORTCUTS = [
  ['Build', [
    [['N'], 'Add a node after the selected one'],
    [['Enter'], 'Open the selected node'],
    [['C'], 'Connect the selected node to another'],
    [['Delete'], 'Delete what is selected'],
    [['D'], 'Disable, or enable again'],
    [['Ctrl', 'D'], 'Duplicate'],
    [['Ctrl', 'C'], 'Copy'],
    [['Ctrl', 'X'], 'Cut'],
    [['Ctrl', 'V'], 'Paste, also from another flow or tab'],
    [['Ctrl', 'Z'], 'Undo'],
    [['Ctrl', 'Y'], 'Redo'],
    [['Shift', 'L'], 'Tidy up'],
  ]],
  ['Move about', [
    [['Tab'], 'Next node'],
    [['←', '↑', '→', '↓'], 'Node in that direction'],
    [['Alt', '←', '↑', '→', '↓'], 'Move the selected nodes'],
    [['Ctrl', 'A'], 'Select everything'],
    [['Shift', 'drag'], 'Select with a box'],
    [['Esc'], 'Select nothing'],
    [['1'], 'Show the whole flow'],
    [['0'], 'Zoom to 100 %'],
    [['+', '−'], 'Zoom'],
  ]],
  ['Run', [
    [['Ctrl', 'Enter'], 'Run a test'],
    [['Shift', 'Enter'], 'Run up to the selected node'],
    [['Right-click'], 'Run one node, or from one on'],
    [['?'], 'These shortcuts'],
  ]],
]

const TYPING = 'input, textarea, select, [contenteditable="true"], .q-dialog, .q-menu, .fc-picker, .fc-menu'
const ARROWS = { arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, -1], arrowdown: [0, 1] }

// Keys work while the focus is on the canvas or nowhere in particular, never while somebody types.
export function createKeyboard({ flow, actions, isActive, isReadonly }) {
  function handle(event) {
    const mod = event.ctrlKey || event.metaKey
    const key = event.key.toLowerCase()
    if (mod && key === 'enter') return act(event, actions.run)
    if (event.defaultPrevented || event.target.closest?.(TYPING) || !isActive()) return
    const name = `${mod ? 'ctrl+' : ''}${event.altKey ? 'alt+' : ''}${event.shiftKey && key.length > 1 ? 'shift+' : ''}${key}`
    const isButton = event.target.closest?.('button, a, [role="button"]')
    if (isButton && ['enter', ' '].includes(name)) return
    const look = {
      'ctrl+a': actions.selectAll, escape: actions.clear, 1: actions.fit, 0: actions.actualSize, '?': actions.help,
      '+': actions.zoomIn, '=': actions.zoomIn, '-': actions.zoomOut, enter: actions.open, ' ': actions.open, v: actions.boxTool, h: actions.handTool,
    }
    const edit = {
      delete: actions.remove, backspace: actions.remove, 'ctrl+z': event.shiftKey ? actions.redo : actions.undo, 'ctrl+y': actions.redo,
      'ctrl+d': actions.duplicate, d: actions.disable, 'shift+enter': actions.runUpTo, n: actions.addAfter, c: actions.connect, l: event.shiftKey ? actions.tidy : undefined,
    }
    const found = look[name] ?? (isReadonly() ? undefined : edit[name])
    if (found) return act(event, found)
    const arrow = ARROWS[key]
    if (arrow && !mod && event.altKey && !isReadonly()) return act(event, () => actions.nudge(arrow[0] * GRID, arrow[1] * GRID))
    if (arrow && !mod && !event.altKey) return act(event, () => walk(arrow))
  }

  function act(event, action) {
    event.preventDefault()
    event.stopPropagation()
    action()
  }

  /** Go to the nearest node in a direction; what lies straight ahead counts as nearer than what lies aside. */
  function walk([dx, dy]) {
    const nodes = flow.nodes.value
    if (!nodes.length) return
    const focused = document.activeElement?.closest?.('.vue-flow__node')?.dataset.id
    const from = flow.findNode(focused) ?? flow.getSelectedNodes.value[0]
    if (!from) return actions.visit(nodes[0].id)
    let best = null
    for (const n of nodes) {
      const x = n.position.x - from.position.x
      const y = n.position.y - from.position.y
      const ahead = dx * x + dy * y
      if (n === from || ahead <= 0) continue
      const cost = ahead + 2 * Math.abs(dx ? y : x)
      if (!best || cost < best.cost) best = { id: n.id, cost }
    }
    if (best) actions.visit(best.id)
  }

  return handle
}
