import { edgeId, freeId, fromEdge, GRID } from './graph.js'

export const FORMAT = 'pulsewire.clip/1'
const MOST_CHARS = 5_000_000 // NOTE: a flow's limit, DOCUMENT_BYTES in runtime/limits.py
const MOST_NODE_CHARS = 900_000 // one node travels in one message, which holds about a million

// Copied nodes travel as JSON text, so that they can be pasted in another flow, tab or window. Parameters come from
// the page, which hands over the whole records of what is selected.
export function createClipboard({ flow, stemOf, commit, select, remove, isActive, isReadonly, pointer, refuse }) {
  let records = new Map() // selected nodes as the document has them

  const setRecords = (nodes) => { records = new Map(nodes.map((n) => [n.id, n])) }

  function selection() {
    const nodes = flow.getSelectedNodes.value
    const ids = new Set(nodes.map((n) => n.id))
    return {
      format: FORMAT,
      nodes: nodes.map((n) => ({ ...(records.get(n.id) ?? { id: n.id, type: n.data.type, name: n.data.name }), id: n.id })),
      edges: flow.edges.value.filter((e) => ids.has(e.source) && ids.has(e.target)).map(fromEdge),
      layout: Object.fromEntries(nodes.map((n) => [n.id, [n.position.x, n.position.y]])),
    }
  }

  function copy(event) {
    if (!isActive() || !flow.getSelectedNodes.value.length || String(window.getSelection())) return
    event.clipboardData.setData('text/plain', JSON.stringify(selection(), null, 2))
    event.preventDefault()
    if (event.type === 'cut' && !isReadonly()) remove()
  }

  function paste(event) {
    if (!isActive() || isReadonly()) return
    const clip = parse(event.clipboardData.getData('text/plain'))
    if (!clip) return
    event.preventDefault()
    const isTooLong = JSON.stringify(clip).length > MOST_CHARS || clip.nodes.some((n) => JSON.stringify(n).length > MOST_NODE_CHARS)
    isTooLong ? refuse() : insert(clip, pointer())
  }

  /** Accept copied nodes, or a whole exported flow. */
  function parse(text) {
    try {
      const data = JSON.parse(text)
      const isKnown = data.format === FORMAT || String(data.format).startsWith('pulsewire.flow/')
      return isKnown && Array.isArray(data.nodes) && data.nodes.length && data.nodes.every((n) => n.id && n.type) ? data : null
    } catch {
      return null
    }
  }

  function duplicate() {
    if (flow.getSelectedNodes.value.length) insert(selection(), null)
  }

  function insert(clip, point) {
    const layout = clip.layout ?? {}
    const at = (n) => layout[n.id] ?? [0, 0]
    const left = Math.min(...clip.nodes.map((n) => at(n)[0]))
    const top = Math.min(...clip.nodes.map((n) => at(n)[1]))
    let [dx, dy] = point ? [point[0] - left, point[1] - top] : [GRID * 2, GRID * 2]
    const places = new Set(flow.nodes.value.map((n) => `${n.position.x} ${n.position.y}`))
    while (clip.nodes.some((n) => places.has(`${at(n)[0] + dx} ${at(n)[1] + dy}`))) {
      dx += GRID
      dy += GRID
    }
    const taken = new Set(flow.nodes.value.map((n) => n.id))
    const renamed = {}
    for (const n of clip.nodes) taken.add((renamed[n.id] = freeId(stemOf(n.type), taken)))
    const edges = (clip.edges ?? []).filter((e) => renamed[e.source] && renamed[e.target])
    commit([
      ...clip.nodes.map((n) => ({
        op: 'add_node',
        node: { ...n, id: renamed[n.id], ...(n.params && { params: repoint(n.params, renamed) }), ...(!n.params && { copy_of: n.id }) },
        at: [at(n)[0] + dx, at(n)[1] + dy],
      })),
      ...new Map(edges.map((e) => ({ source: renamed[e.source], target: renamed[e.target], key: e.key })).map((e) => [edgeId(e), { op: 'add_edge', edge: e }])).values(),
    ])
    select(Object.values(renamed))
  }

  return { copy, paste, duplicate, setRecords }
}

/** Make expressions that read a copied node's output read the copy's instead. */
function repoint(value, renamed) {
  if (typeof value === 'string') {
    return value
      .replace(/\$action\.([A-Za-z_]\w*)/g, (all, id) => (renamed[id] ? `$action.${renamed[id]}` : all))
      .replace(/\$action\[(['"])(.+?)\1\]/g, (all, q, id) => (renamed[id] ? `$action[${q}${renamed[id]}${q}]` : all))
  }
  if (Array.isArray(value)) return value.map((item) => repoint(item, renamed))
  if (value && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, repoint(v, renamed)]))
  return value
}
