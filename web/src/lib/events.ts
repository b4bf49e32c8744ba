/** What changes the list; the rest of the events (closed files, slow readers) does not show. */
const types = [
  'stream.*',
  'recording.started',
  'recording.stopped',
  'recording.paused',
  'recording.resumed',
  'recording.failed',
  'recording.recovered',
]
const retryMs = 2000

/** Calls back when something happened, and when it may have: after each reconnection. Returns how to stop. */
export function followEvents(onEvent: () => void): () => void {
  let socket: WebSocket | undefined
  let timer: number | undefined
  let isStopped = false
  const connect = (): void => {
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws'
    socket = new WebSocket(`${scheme}://${location.host}/api/v1/events?type=${types.join(',')}`)
    socket.addEventListener('open', onEvent)
    socket.addEventListener('message', onEvent)
    socket.addEventListener('close', () => {
      if (!isStopped) timer = window.setTimeout(connect, retryMs * (1 + Math.random()))
    })
  }
  connect()
  return () => {
    isStopped = true
    window.clearTimeout(timer)
    socket?.close()
  }
}
