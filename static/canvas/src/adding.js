import { nextTick, shallowRef } from 'vue'
import { freeId, fromEdge, GRID, HEAD_HEIGHT, NODE_WIDTH, reachable, snap } from './graph.js'

// Putting new nodes on the canvas: beside another, on an edge, where a wire was dropped; and the list to choose them from.
export function createAdding({ flow, kinds, kindOf, portsOf, usedPorts, commit, connect, partners, select, reveal, isReadonly, focusCanvas, unfit }) {
  const picker = shallowRef(null)

  // -- where

  const isTaken = ([x, y]) => flow.nodes.value.some((n) => Math.abs(n.position.x - x) < NODE_WIDTH && Math.abs(n.position.y - y) < HEAD_HEIGHT + GRID)

  function freePlace([x, y], dy = GRID * 5) {
    const at = snap(x, y)
    while (isTaken(at)) at[1] += dy
    return at
  }

  function middle() {
    const p = flow.project({ x: flow.dimensions.value.width / 2, y: flow.dimensions.value.height / 2 })
    return [p.x - NODE_WIDTH / 2, p.y - HEAD_HEIGHT / 2]
  }

  /** Where the first node goes: at the left, so that there is room for what follows. */
  function beginning() {
    const p = flow.project({ x: Math.max(48, flow.dimensions.value.width * 0.08), y: flow.dimensions.value.height * 0.45 })
    return [p.x, p.y - HEAD_HEIGHT / 2]
  }

  // -- what

  function newNode(type) {
    const kind = kindOf(type) // of a type or of one of its presets
    const names = new Set(flow.nodes.value.map((n) => n.data.name))
    let name = kind.title
    for (let n = 2; names.has(name); n++) name = `${kind.title} ${n}`
    return { id: freeId(kind.stem, new Set(flow.nodes.value.map((n) => n.id))), type: kind.type ?? type, name, ...(kind.params && { params: kind.params }) }
  }

  const placed = (node, at) => ({ op: 'add_node', node, at })
  const wired = (source, target, key) => ({ op: 'add_edge', edge: { source, target, key } })

  /** The port that a next node goes to: the first that leads nowhere yet. */
  function openPort(node) {
    const ports = portsOf(node.data)
    return (ports.find((p) => !usedPorts.value.get(node.id)?.has(p.name)) ?? ports[0])?.name ?? null
  }

  /** Add a node of *type* after the selected one (connected, if that is possible) or in the middle of the view. */
  function add(type) {
    const selected = flow.getSelectedNodes.value
    const port = selected.length === 1 && kindOf(type).has_input ? openPort(selected[0]) : null
    if (port) return after(type, selected[0].id, port)
    finish([placed(newNode(type), freePlace(flow.nodes.value.length ? middle() : beginning()))])
  }

  /** Add a node of *type* at a point of the canvas, on the edge that lies there if there is one. */
  function drop(type, [x, y], edge) {
    if (edge && kindOf(type).has_input) onEdge(type, edge, [x, y])
    else finish([placed(newNode(type), snap(x - NODE_WIDTH / 2, y - HEAD_HEIGHT / 2))])
  }

  function after(type, source, key, point) {
    const from = flow.findNode(source)
    const node = newNode(type)
    const at = point ? snap(point[0], point[1] - HEAD_HEIGHT / 2) : freePlace([from.position.x + NODE_WIDTH + GRID * 4, from.position.y])
    finish([placed(node, at), wired(source, node.id, key)])
  }

  function before(type, target, point) {
    const node = newNode(type)
    const key = kindOf(type).ports[0]?.name
    finish([placed(node, snap(point[0] - NODE_WIDTH, point[1] - HEAD_HEIGHT / 2)), ...(key ? [wired(node.id, target, key)] : [])])
  }

  function onEdge(type, id, point) {
    const edge = flow.findEdge(id)
    if (!edge) return
    const node = newNode(type)
    const key = kindOf(type).ports[0]?.name
    const source = flow.findNode(edge.source).position
    const target = flow.findNode(edge.target).position
    const step = NODE_WIDTH + GRID * 4
    const lack = source.x + 2 * step - target.x
    const operations = [{ op: 'del_edge', edge: fromEdge(edge) }]
    let at = snap(point[0] - NODE_WIDTH / 2, point[1] - HEAD_HEIGHT / 2)
    if (lack > 0 && target.x > source.x) { // make room: move on what comes after
      const later = reachable(flow.edges.value, edge.target)
      const moved = flow.nodes.value.filter((n) => later.has(n.id)).map((n) => [n.id, snap(n.position.x + lack, n.position.y)])
      operations.push({ op: 'move', at: Object.fromEntries(moved) })
      at = snap(source.x + step, (source.y + target.y) / 2)
    }
    operations.push(placed(node, at), wired(edge.source, node.id, edge.sourceHandle))
    if (key) operations.push(wired(node.id, edge.target, key))
    finish(operations)
  }

  function finish(operations) {
    unfit()
    commit(operations)
    const { id } = operations.find((op) => op.op === 'add_node').node
    focusCanvas() // a node that is not drawn yet cannot have the focus
    nextTick(() => {
      select([id], true)
      reveal(id)
    })
  }

  // -- choosing

  const TITLES = { connect: 'Connect to…', before: 'Add a node before', insert: 'Insert a node', first: 'Add a node' }
  const types = (test) => Object.entries(kinds.value).filter(([, k]) => k.is_listed && test(k)).map(([id, k]) => ({ id, ...k }))
  const ITEMS = {
    connect: ({ node, port }) => {
      const fits = partners(node, port, false)
      return flow.nodes.value.filter((n) => fits.has(n.id)).map((n) => {
        const kind = kindOf(n.data.type)
        return { ...kind, id: n.id, title: n.data.name, hint: n.data.summary || kind.title, category: '' }
      })
    },
    before: () => types((k) => k.ports.length),
    insert: () => types((k) => k.has_input && k.ports.length),
    first: () => types(() => true),
  }

  function openPicker(wish) {
    if (isReadonly()) return
    const point = wish.point ?? middle()
    const { x, y, zoom } = flow.viewport.value
    const items = (ITEMS[wish.kind] ?? (() => types((k) => k.has_input)))(wish)
    picker.value = { ...wish, point, items, title: TITLES[wish.kind] ?? 'Add the next node', x: point[0] * zoom + x, y: point[1] * zoom + y }
  }

  function closePicker() {
    picker.value = null
    focusCanvas()
  }

  function choose(id) {
    const { kind, node, port, edge, point } = picker.value
    closePicker()
    if (kind === 'after') after(id, node, port, point)
    else if (kind === 'beside') after(id, node, port)
    else if (kind === 'before') before(id, node, point)
    else if (kind === 'insert') onEdge(id, edge, point)
    else if (kind === 'connect') connect({ source: node, target: id, key: port })
    else finish([placed(newNode(id), freePlace(point))])
  }

  function pickAfter(id, port) {
    const { x, y } = flow.findNode(id).position
    openPicker({ kind: 'beside', node: id, port, point: [x + NODE_WIDTH + GRID * 2, y] })
  }

  function pickNext(node) {
    const port = node && openPort(node)
    port ? pickAfter(node.id, port) : openPicker({ kind: 'first' })
  }

  function pickPartner(node) {
    const port = node && openPort(node)
    if (port) openPicker({ kind: 'connect', node: node.id, port, point: [node.position.x + NODE_WIDTH + GRID, node.position.y] })
  }

  return { picker, add, drop, openPicker, closePicker, choose, pickAfter, pickNext, pickPartner }
}
