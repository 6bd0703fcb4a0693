// Keeps the board up to date. The server escapes what people wrote; without script the page is as it was when loaded.
const board = document.getElementById('board')

function items() {
  return [...board.querySelectorAll('[data-uri]')]
}

function showLocalTimes() {
  for (const time of board.querySelectorAll('time')) {
    const options = { dateStyle: 'medium', timeStyle: 'short' }
    time.textContent = new Date(time.dateTime).toLocaleString(undefined, options)
  }
}

new EventSource('/live').onmessage = ({ data }) => {
  const known = new Set(items().map((item) => item.dataset.uri))
  board.innerHTML = JSON.parse(data)
  for (const item of items()) if (!known.has(item.dataset.uri)) item.classList.add('new')
  showLocalTimes()
}
showLocalTimes()
