import { shallowRef } from 'vue'

// The menu of one node, or of the selected ones: what can be run from here, pinned, disabled, and the usual edits.
export function createMenu({ flow, states, kindOf, command, commit, remove, duplicate, select, root, mayEdit, mayTest }) {
  const shown = shallowRef(null) // {x, y, width, height, title, groups}

  const chosen = () => flow.getSelectedNodes.value

  /** Disable the selected nodes; enable them when all of them are disabled. */
  function disable() {
    const nodes = chosen()
    const disabled = !nodes.every((n) => n.data.disabled)
    commit(nodes.filter((n) => n.data.disabled !== disabled).map((n) => ({ op: 'patch_node', id: n.id, set: { disabled } })))
  }

  function tests(node) {
    const test = (part) => () => command('test', { part, id: node.id })
    const isTrigger = !kindOf(node.data.type).has_input
    const all = [
      { icon: 'play_circle', text: 'Run only this node', act: test('only') },
      { icon: 'keyboard_tab', text: 'Run up to here', keys: 'Shift ⏎', act: test('until') },
      { icon: 'start', text: 'Run from here', act: test('from') },
    ]
    return isTrigger ? all.slice(-1) : all
  }

  function pin(node) {
    if (node.data.pinned) return { icon: 'keep_off', text: 'Unpin the output', act: () => command('unpin', { id: node.id }) }
    const has = !!states.get(node.id)?.output
    return { icon: 'keep', text: 'Pin this output', isOff: !has, title: has ? '' : 'Run it first: the output that it gives can be pinned', act: () => command('pin', { id: node.id }) }
  }

  function groups(nodes) {
    const node = nodes.length === 1 ? nodes[0] : null
    const isOn = !nodes.every((n) => n.data.disabled)
    const off = { icon: 'power_settings_new', text: isOn ? 'Disable' : 'Enable', keys: 'D', act: disable }
    return [
      node && mayTest() ? tests(node) : [],
      mayEdit() ? [...(node && kindOf(node.data.type).has_input ? [pin(node)] : []), off] : [],
      mayEdit() ? [{ icon: 'content_copy', text: 'Duplicate', keys: 'Ctrl D', act: duplicate }, { icon: 'delete', text: 'Delete', keys: 'Del', isDanger: true, act: remove }] : [],
    ].filter((group) => group.length)
  }

  /** Open it for node *id*, and for all selected ones if it is among them, where *event* happened. */
  function openAt(id, event) {
    event.preventDefault()
    const found = chosen().map((n) => n.id)
    if (!found.includes(id)) select([id])
    const nodes = found.includes(id) ? chosen() : [flow.findNode(id)]
    const offered = groups(nodes)
    if (!offered.length) return
    const box = root().getBoundingClientRect()
    const at = event.clientX || event.clientY ? [event.clientX, event.clientY] : corner(id) // by key it has no place
    const title = nodes.length === 1 ? nodes[0].data.name : `${nodes.length} nodes`
    shown.value = { key: `${id} ${at}`, x: at[0] - box.left, y: at[1] - box.top, width: box.width, height: box.height, title, groups: offered }
  }

  function corner(id) {
    const box = root().querySelector(`.vue-flow__node[data-id="${CSS.escape(id)}"]`).getBoundingClientRect()
    return [box.left + 24, box.bottom - 8]
  }

  const close = () => { shown.value = null }

  return { shown, openAt, close, disable }
}
