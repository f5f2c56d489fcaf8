"use strict";
const rows = new Map();
const body = document.getElementById("events");
function show(event) {
  const key = event.direction + " " + event.type;
  let row = rows.get(key);
  if (!row) {
    if (rows.size === 0) body.replaceChildren();
    row = body.insertRow();
    for (const text of [event.type, event.direction, "", ""]) row.insertCell().textContent = text;
    rows.set(key, row);
  }
  row.cells[2].textContent = event.count;
  if (event.at) row.cells[3].textContent = new Date(event.at).toLocaleTimeString();
}
new EventSource("/activity").onmessage = (message) => show(JSON.parse(message.data));
async function health() {
  const list = document.getElementById("health");
  try {
    const answer = await fetch("/readyz");
    const checks = (await answer.json()).checks;
    list.replaceChildren(...Object.entries(checks).map(([name, state]) => {
      const item = document.createElement("li");
      item.className = state === "ok" ? "ok" : "bad";
      item.textContent = name + ": " + state;
      return item;
    }));
  } catch {
    const item = document.createElement("li");
    item.className = "bad";
    item.textContent = "no answer";
    list.replaceChildren(item);
  }
}
health();
setInterval(health, 5000);
