import { nextTick, watch } from 'vue'
import { HEAD_HEIGHT, heightOf, NODE_WIDTH } from './graph.js'

const READABLE = 0.8 // the first view does not zoom out further

// What part of the flow is in view. *coverTop* is where something begins that lies over the lower part of the canvas.
export function createView({ flow, kindOf, portsOf, isNarrow, coverTop }) {
  let isFitted = true // the whole flow is in view and nobody has moved away: keep it so when the canvas changes size
  let isWanted = false // the first view waits until the canvas has a size

  const unfit = () => { isFitted = false }

  function fit(duration = 200) {
    isFitted = true
    return flow.fitView({ padding: 0.12, maxZoom: 1, duration })
  }

  function bounds(nodes) {
    const x = Math.min(...nodes.map((n) => n.position.x))
    const y = Math.min(...nodes.map((n) => n.position.y))
    const right = Math.max(...nodes.map((n) => n.position.x + NODE_WIDTH))
    const bottom = Math.max(...nodes.map((n) => n.position.y + heightOf(portsOf(n.data))))
    return { x, y, width: right - x, height: bottom - y }
  }

  /** Show everything if that is readable, otherwise the side where runs start. */
  function show() {
    const { width, height } = flow.dimensions.value
    const nodes = flow.nodes.value
    isWanted = !width
    if (!width || !nodes.length) return
    const box = bounds(nodes)
    const zoom = Math.min(1, (width * 0.88) / box.width, (height * 0.84) / box.height)
    isFitted = zoom >= READABLE
    if (isFitted) return flow.setViewport({ x: (width - box.width * zoom) / 2 - box.x * zoom, y: (height - box.height * zoom) / 2 - box.y * zoom, zoom })
    const starts = nodes.filter((n) => !kindOf(n.data.type).has_input)
    const start = bounds(starts.length ? starts : [nodes.reduce((a, b) => (b.position.x < a.position.x ? b : a))])
    const scale = isNarrow() ? Math.max(0.5, Math.min(READABLE, (width * 0.92) / 500)) : READABLE
    const middle = box.height * scale < height * 0.9 ? box.y + box.height / 2 : start.y + start.height / 2
    return flow.setViewport({ x: Math.min(56, width * 0.06) - start.x * scale, y: height / 2 - middle * scale, zoom: scale })
  }

  /** Move the view so that a node is in the part of it that nothing covers; stay where it already is. */
  function reveal(id) {
    const n = flow.findNode(id)
    if (!n) return
    const { x, y, zoom } = flow.viewport.value
    const { width } = flow.dimensions.value
    const height = Math.min(flow.dimensions.value.height, coverTop())
    const left = n.position.x * zoom + x
    const top = n.position.y * zoom + y
    const isSeen = left > 12 && top > 12 && left + NODE_WIDTH * zoom < width - 12 && top + HEAD_HEIGHT * zoom < height - 12
    if (isSeen) return
    isFitted = false
    flow.setViewport({ x: width / 2 - (n.position.x + NODE_WIDTH / 2) * zoom, y: height / 2 - (n.position.y + HEAD_HEIGHT / 2) * zoom, zoom }, { duration: 200 })
  }

  watch(flow.dimensions, (now, before) => {
    if (now.width && (isWanted || (isFitted && before.width && flow.nodes.value.length))) show()
  })

  return { show: () => nextTick(show), fit, unfit, reveal }
}
