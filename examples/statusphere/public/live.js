// Keeps the board up to date. The server escapes what people wrote; without script the page is as it was when loaded.
const board = document.getElementById('board')

function items() {
  return [...board.querySelectorAll('[data-uri]')]
}

/** The time of day for today, else the date; the server knows neither the zone nor the language. */
function showLocalTimes() {
  for (const time of board.querySelectorAll('time')) {
    const at = new Date(time.dateTime)
    time.title = at.toLocaleString()
    const isToday = at.toDateString() === new Date().toDateString()
    time.textContent = isToday
      ? at.toLocaleTimeString(undefined, { timeStyle: 'short' })
      : at.toLocaleDateString(undefined, { dateStyle: 'medium' })
  }
}

new EventSource('/live').onmessage = ({ data }) => {
  const known = new Set(items().map((item) => item.dataset.uri))
  board.innerHTML = JSON.parse(data)
  for (const item of items()) if (!known.has(item.dataset.uri)) item.classList.add('new')
  showLocalTimes()
}
showLocalTimes()
