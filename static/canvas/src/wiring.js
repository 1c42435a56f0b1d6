import { shallowRef } from 'vue'
import { reachable } from './graph.js'

// Which connections are allowed, and what a person sees while drawing one.
export function createWiring({ flow, kindOf, portsOf, connect, pick, toFlow }) {
  const drawing = shallowRef(null) // {node, port, isReverse, valid: Set of node ids}
  const over = shallowRef(null) // the node under the pointer while drawing
  let isDone = false

  /** Return the nodes to which *port* of *node* may lead (or, in reverse, that may lead to *node*). */
  function partners(node, port, isReverse) {
    const edges = flow.edges.value
    const blocked = reachable(edges, node, isReverse ? 'target' : 'source') // closing a circle is refused
    const taken = new Set(
      isReverse ? [] : edges.filter((e) => e.source === node && e.sourceHandle === port).map((e) => e.target),
    )
    return new Set(
      flow.nodes.value
        .filter((n) => !blocked.has(n.id) && !taken.has(n.id))
        .filter((n) => (isReverse ? freePort(n, node) !== null : kindOf(n.data.type).has_input))
        .map((n) => n.id),
    )
  }

  /** Return the first port of *node* that does not lead to *target* yet, or null. */
  function freePort(node, target) {
    const used = new Set(flow.edges.value.filter((e) => e.source === node.id && e.target === target).map((e) => e.sourceHandle))
    return portsOf(node.data).find((p) => !used.has(p.name))?.name ?? null
  }

  function isValid(c) {
    const source = flow.findNode(c.source)
    const target = flow.findNode(c.target)
    if (!source || !target || !kindOf(target.data.type).has_input) return false
    if (!portsOf(source.data).some((p) => p.name === c.sourceHandle)) return false
    if (flow.edges.value.some((e) => e.source === c.source && e.sourceHandle === c.sourceHandle && e.target === c.target)) return false
    return !reachable(flow.edges.value, c.target).has(c.source)
  }

  function start({ nodeId, handleId, handleType }) {
    isDone = false
    const isReverse = handleType === 'target'
    drawing.value = { node: nodeId, port: handleId, isReverse, valid: partners(nodeId, handleId, isReverse) }
  }

  function made(c) {
    isDone = true
    connect({ source: c.source, target: c.target, key: c.sourceHandle })
  }

  function move(event) {
    if (drawing.value) over.value = event.target.closest?.('.vue-flow__node')?.dataset.id ?? null
  }

  /** Dropped on a node's body: connect to it. Dropped on nothing: offer a node there. */
  function end(event) {
    const now = drawing.value
    drawing.value = null
    over.value = null
    if (!now || isDone || !event) return
    const point = event.changedTouches?.[0] ?? event
    const below = document.elementFromPoint(point.clientX, point.clientY)
    const id = below?.closest('.vue-flow__node')?.dataset.id
    if (id) {
      if (!now.valid.has(id)) return
      if (now.isReverse) connect({ source: id, target: now.node, key: freePort(flow.findNode(id), now.node) })
      else connect({ source: now.node, target: id, key: now.port })
    } else if (below?.classList.contains('vue-flow__pane')) {
      const p = toFlow(point)
      pick({ kind: now.isReverse ? 'before' : 'after', node: now.node, port: now.port, point: [p.x, p.y] })
    }
  }

  return { drawing, over, partners, freePort, isValid, start, made, move, end }
}
