import { computed, ref } from 'vue'

const PART_CHARS = 300_000 // of one message: the page's connection carries about a million

// The browser's half of saving: edits are applied at once, kept until the server has acknowledged them, and
// sent again after a reload or a lost connection. The server remembers each tab's last number, so nothing happens twice.
export function createSync({ flowId, emit, apply }) {
  const key = `pulsewire:pending:${flowId}`
  const state = restore() // {tab, seq, pending: [{seq, operations, group?}]}
  const isLoaded = ref(false)
  const waiting = ref(state.pending.length)
  const isBusy = ref(false) // the page itself is saving (a field in the side panel)
  const isOnline = ref(true)
  let resend = 0

  function restore() {
    try {
      const found = JSON.parse(sessionStorage.getItem(key))
      if (found?.tab && Array.isArray(found.pending)) return found
    } catch { /* blocked or damaged storage costs only the replay */ }
    return { tab: crypto.getRandomValues(new Uint32Array(2)).join('-'), seq: 0, pending: [] }
  }

  function keep() {
    waiting.value = state.pending.length
    try {
      sessionStorage.setItem(key, JSON.stringify(state))
    } catch { /* full or blocked: see restore */ }
  }

  const post = (message) => emit('ops', { tab: state.tab, ...message })

  /** Apply *operations* here and save them. */
  function commit(operations) {
    if (!operations.length || !isLoaded.value) return
    apply(operations)
    send(operations)
  }

  /** Save what the canvas already shows, such as a finished drag; what is long goes in parts that are undone as one. */
  function send(operations) {
    const parts = split(operations)
    const group = parts.length > 1 ? { group: state.seq + 1 } : {}
    const messages = parts.map((part) => ({ seq: ++state.seq, operations: part, ...group }))
    state.pending.push(...messages)
    keep()
    messages.forEach(post)
  }

  function replay() {
    for (const message of state.pending) apply(message.operations)
  }

  function loaded() {
    isLoaded.value = true
    watchConnection()
    replay()
    state.pending.forEach(post)
  }

  function acknowledge(seq) {
    state.pending = state.pending.filter((message) => message.seq > seq)
    keep()
  }

  let unwatch = null

  function watchConnection() { // called when the first message has come, because only then is the socket there
    const socket = window.socket
    if (unwatch || !socket) return
    const up = () => {
      isOnline.value = true
      clearTimeout(resend)
      resend = setTimeout(() => state.pending.forEach(post), 2000) // what the socket's own buffer has not delivered
    }
    const down = () => { isOnline.value = false }
    socket.on('connect', up)
    socket.on('disconnect', down)
    unwatch = () => {
      clearTimeout(resend)
      socket.off('connect', up)
      socket.off('disconnect', down)
    }
  }

  const close = () => unwatch?.()

  const saveState = computed(() => {
    if (!isOnline.value) return 'offline'
    if (!isLoaded.value) return 'opening'
    return waiting.value || isBusy.value ? 'saving' : 'saved'
  })

  return { tab: state.tab, commit, send, replay, loaded, acknowledge, close, isLoaded, isBusy, saveState }
}

function split(operations) {
  const parts = []
  let room = 0
  for (const operation of operations) {
    const chars = JSON.stringify(operation).length
    if (!parts.length || chars > room) {
      parts.push([])
      room = PART_CHARS
    }
    parts.at(-1).push(operation)
    room -= chars
  }
  return parts
}
