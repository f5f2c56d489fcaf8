// Shows what the stream says; a link that drops is taken up again by the browser itself.
"use strict";
const link = document.getElementById("link");
const main = document.getElementById("counters");
const source = new EventSource(`/boards/${encodeURIComponent(document.body.dataset.facility)}/events`);

function line(tag, name, text) {
  const element = document.createElement(tag);
  element.className = name;
  element.textContent = text;
  return element;
}

source.addEventListener("board", (message) => {
  const board = JSON.parse(message.data);
  link.textContent = board.date;
  link.className = "";
  main.replaceChildren(...board.counters.map((counter) => {
    const card = line("article", counter.status, "");
    card.append(
      line("h2", "", counter.label === counter.counter ? counter.counter : `${counter.label} (${counter.counter})`),
      line("div", "now", counter.now ?? "–"),
      line("div", "next", counter.next.length ? `next: ${counter.next.join(", ")}` : "nobody waits"),
    );
    return card;
  }));
});
source.onerror = () => {
  link.textContent = "no connection: what is shown may be old";
  link.className = "away";
};
