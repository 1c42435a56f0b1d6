// Between the document's words and Vue Flow's elements. An edge is known by (source, key, target).
export const GRID = 20
export const NODE_WIDTH = 220
export const HEAD_HEIGHT = 64

export const snap = (x, y) => [Math.round(x / GRID) * GRID, Math.round(y / GRID) * GRID]
export const edgeId = (e) => JSON.stringify([e.source, e.key, e.target])
export const heightOf = (ports) => (ports.length > 1 ? HEAD_HEIGHT + 12 + 22 * ports.length : HEAD_HEIGHT)

export const toNode = (n) => ({
  id: n.id,
  type: 'flow',
  position: { x: n.at[0], y: n.at[1] },
  data: { type: n.type, kind: n.kind ?? null, name: n.name, summary: n.summary ?? '', problem: n.problem ?? null, ports: n.ports ?? null, disabled: !!n.disabled, pinned: !!n.pinned },
  ariaLabel: n.name,
})

export const toEdge = (e) => ({
  id: edgeId(e),
  type: 'flow',
  source: e.source,
  sourceHandle: e.key,
  target: e.target,
  targetHandle: 'in',
})

export const fromEdge = (e) => ({ source: e.source, target: e.target, key: e.sourceHandle })

/** Make the store show what *patch* says: whole records in `nodes` and `edges`, identities in `gone` and `cut`. */
export function applyPatch(flow, { nodes = [], edges = [], gone = [], cut = [] }, isHeld = () => false) {
  const deadNodes = new Set(gone)
  const deadEdges = new Set(cut.map(edgeId))
  if (deadNodes.size || deadEdges.size) {
    const isDead = (e) => deadEdges.has(e.id) || deadNodes.has(e.source) || deadNodes.has(e.target)
    if (flow.edges.value.some(isDead)) flow.edges.value = flow.edges.value.filter((e) => !isDead(e))
    if (flow.nodes.value.some((n) => deadNodes.has(n.id))) flow.nodes.value = flow.nodes.value.filter((n) => !deadNodes.has(n.id))
  }
  const fresh = []
  for (const record of nodes) {
    const node = flow.findNode(record.id)
    if (!node) {
      fresh.push(toNode(record))
      continue
    }
    const { position, data, ariaLabel } = toNode(record)
    if (!isHeld(record.id) && (node.position.x !== position.x || node.position.y !== position.y)) node.position = position
    Object.assign(node.data, data)
    node.ariaLabel = ariaLabel
  }
  if (fresh.length) flow.addNodes(fresh)
  const wired = edges.filter((e) => !flow.findEdge(edgeId(e)) && flow.findNode(e.source) && flow.findNode(e.target))
  if (wired.length) flow.addEdges(wired.map(toEdge))
}

/** Apply the document's operations before the server has seen them. Each may be applied again without harm. */
export function applyOperations(flow, operations) {
  for (const op of operations) {
    if (op.op === 'add_node') {
      if (!flow.findNode(op.node.id)) applyPatch(flow, { nodes: [{ ...op.node, at: op.at }] })
    } else if (op.op === 'del_node') applyPatch(flow, { gone: [op.id] })
    else if (op.op === 'add_edge') applyPatch(flow, { edges: [op.edge] })
    else if (op.op === 'del_edge') applyPatch(flow, { cut: [op.edge] })
    else if (op.op === 'patch_node') {
      const node = flow.findNode(op.id)
      if (node && op.set && 'disabled' in op.set) node.data.disabled = !!op.set.disabled
    } else if (op.op === 'move') {
      for (const [id, [x, y]] of Object.entries(op.at)) {
        const node = flow.findNode(id)
        if (node && (node.position.x !== x || node.position.y !== y)) node.position = { x, y }
      }
    }
  }
}

/** Return the ids that can be reached from *start*; *way* is `target` (down) or `source` (up). */
export function reachable(edges, start, way = 'target') {
  const from = way === 'target' ? 'source' : 'target'
  const next = new Map()
  for (const e of edges) {
    if (!next.has(e[from])) next.set(e[from], [])
    next.get(e[from]).push(e[way])
  }
  const seen = new Set([start])
  const todo = [start]
  while (todo.length) {
    for (const id of next.get(todo.pop()) ?? []) {
      if (!seen.has(id)) {
        seen.add(id)
        todo.push(id)
      }
    }
  }
  return seen
}

/** Return a readable id that no node in *taken* has: `send_email`, then `send_email_2`. */
export function freeId(stem, taken) {
  let id = stem
  for (let n = 2; taken.has(id); n++) id = `${stem}_${n}`
  return id
}
