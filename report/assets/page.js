// One time axis for all figures: hover or touch reads it, drag, wheel-free keys and chips zoom it, `#zoom=from,to` names it.

const root = document.documentElement;
const figures = [...document.querySelectorAll("figure.chart")];
const darkQuery = window.matchMedia("(prefers-color-scheme: dark)");
const charts = document.getElementById("charts");
const clock = document.getElementById("clock");
let printing = false;

function draw() {
  const dark = darkQuery.matches && !printing;
  drawLane(document.getElementById("lane"), zoomToWindow);
  const narrow = charts.clientWidth < 560;
  for (const figure of figures) {
    const panel = data.panels.find((p) => figure.id === "fig-" + p.id);
    if (figure.id === "fig-heatmap") drawHeat(figure, dark);
    else if (figure.id === "fig-loss") drawLoss(figure);
    else if (panel) drawPanel(figure, panel, panel.id === "runq" ? 60 : narrow ? 110 : 130, panel.id === data.axis_below);
  }
  const whole = view.from <= 0 && view.to >= data.span;
  root.dataset.zoom = whole ? "all" : view.from + "," + view.to;
  root.dataset.overflow = String(root.scrollWidth > root.clientWidth);
  document.getElementById("reset").disabled = whole;
  for (const button of document.querySelectorAll("[data-window]")) {
    const w = data.windows.find((item) => String(item.id) === button.dataset.window);
    button.setAttribute("aria-pressed", String(!whole && w && w.from >= view.from && w.to <= view.to));
  }
  clearReadings();
}

function rest() {
  const shown = view.to - view.from;
  const [from, to] = [moment(view.from, shown, data.span), moment(view.to, shown, data.span)];
  clock.textContent = root.dataset.zoom === "all" ? "whole recording" : `${from} – ${to}`;
}

// Shows from..to, at least a ten-thousandth of the recording, and names it in the address.
function zoom(from, to, remember = true) {
  const least = Math.max(data.span / 1e4, 1e-6);
  from = Math.max(0, Math.min(from, data.span - least));
  to = Math.min(data.span, Math.max(to, from + least));
  // Times of the address and of the page have a microsecond at most.
  view.from = Math.round(from * 1e6) / 1e6;
  view.to = Math.round(to * 1e6) / 1e6;
  if (remember) {
    const whole = view.from <= 0 && view.to >= data.span;
    const hash = whole ? location.pathname + location.search : `#zoom=${view.from},${view.to}`;
    // A page in a sandboxed frame may not touch its address; the zoom works all the same.
    try { history.replaceState(null, "", hash); } catch { /* no address */ }
  }
  draw();
}

function zoomAround(middle, factor) {
  const half = ((view.to - view.from) * factor) / 2;
  const centre = Math.min(data.span - half, Math.max(half, middle));
  if (half * 2 >= data.span) zoom(0, data.span);
  else zoom(centre - half, centre + half);
}

function zoomToWindow(w) {
  const margin = Math.max((w.to - w.from) * 1.5, data.span / 200);
  zoom(w.from - margin, w.to + margin);
}

// A window as lines of text, for a ticket.
function textOf(card) {
  const [number, name, when] = [".number", "h3", "header p"].map((part) => card.querySelector(part).textContent);
  const lines = [`#${number} ${name}, ${when}`];
  for (const part of card.querySelectorAll(".sentence, .detail")) lines.push(part.textContent);
  const cells = (row) => [...row.children].map((cell) => cell.textContent).filter(Boolean).join("  ");
  for (const head of card.querySelectorAll("h4")) {
    lines.push("", head.textContent + ":");
    for (const item of head.nextElementSibling.querySelectorAll("li, tbody tr")) lines.push("  " + (item.children.length ? cells(item) : item.textContent));
  }
  lines.push("", document.querySelector("h1").title, location.href.replace(/#.*$/, "") + "#" + card.id);
  return lines.join("\n");
}

// Pages that are opened as files have no clipboard of their own in every browser: then what is selected is copied.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

function zoomFromAddress() {
  const named = data.windows.find((w) => location.hash === "#w" + w.id);
  if (named) {
    const margin = Math.max((named.to - named.from) * 1.5, data.span / 200);
    zoom(named.from - margin, named.to + margin, false);
    document.getElementById("w" + named.id).scrollIntoView();
    return;
  }
  const match = /^#zoom=([\d.]+),([\d.]+)$/.exec(location.hash);
  const [from, to] = match ? [Number(match[1]), Number(match[2])] : [0, data.span];
  if (from < to) zoom(from, to, false);
  else zoom(0, data.span, false);
}

// What each figure says at `at`; `row` is the heat map's row under the pointer, if any.
function readAt(at, row) {
  if (!root.classList.contains("reading")) {
    // Readings take the place of the summaries: captions keep their height, charts stay where the finger is.
    for (const figure of figures) {
      const caption = figure.querySelector("figcaption");
      caption.style.minHeight = caption.offsetHeight + "px";
    }
    root.classList.add("reading");
  }
  clock.textContent = "at " + moment(at, view.to - view.from, data.span);
  for (const figure of figures) {
    if (!figure.scale) continue;
    const x = figure.scale.x(at);
    figure.cursor.setAttribute("x1", x);
    figure.cursor.setAttribute("x2", x);
    const panel = data.panels.find((p) => figure.id === "fig-" + p.id);
    const outputs = figure.querySelectorAll("output");
    if (panel) panel.lines.forEach((line, i) => { if (outputs[i]) outputs[i].textContent = quantity(valueAt(line, at), panel.unit); });
    else if (figure.id === "fig-loss") {
      const loss = data.losses.find((item) => at >= item.from && at < item.to);
      outputs[0].textContent = loss ? loss.text : "all kept";
    } else outputs[0].textContent = heatAt(at, row);
  }
}

function valueAt(line, at) {
  const times = data.times[line.t];
  const after = lowerBound(times, at);
  const near = after > 0 && (after === times.length || at - times[after - 1] < times[after] - at) ? after - 1 : after;
  // A value speaks for its own interval, not for a gap beside it.
  return near < times.length && Math.abs(times[near] - at) <= data.interval ? line.v[near] : null;
}

function heatAt(at, row) {
  const heat = data.heat;
  const bin = lowerBound(heat.edges, at) - 1;
  if (bin < 0 || bin + 1 >= heat.edges.length || !heat.names.length) return "";
  let shown = row;
  if (shown === undefined) shown = heat.rows.reduce((best, rates, i) => (rates[bin] > (heat.rows[best][bin] || 0) ? i : best), 0);
  const rate = heat.rows[shown][bin] || 0;
  return `${row === undefined ? "busiest: " : ""}${heat.names[shown]} ${rate ? quantity(rate, "calls/s") : "none"}`;
}

function clearReadings() {
  root.classList.remove("reading");
  for (const figure of figures) {
    if (figure.cursor) for (const end of ["x1", "x2"]) figure.cursor.setAttribute(end, -9);
    for (const output of figure.querySelectorAll("output")) output.textContent = "";
    figure.querySelector("figcaption").style.minHeight = "";
  }
  rest();
}

function select(from, to) {
  for (const figure of figures) {
    if (!figure.scale) continue;
    const [a, b] = [figure.scale.x(Math.min(from, to)), figure.scale.x(Math.max(from, to))];
    figure.selection.setAttribute("x", a);
    figure.selection.setAttribute("width", b - a);
  }
}

for (const figure of figures) {
  const plot = figure.querySelector(".plot");
  let start = null;
  const timeOf = (event) => {
    const x = event.clientX - plot.getBoundingClientRect().left - figure.scale.left;
    return view.from + Math.min(1, Math.max(0, x / figure.scale.width)) * (view.to - view.from);
  };
  const rowOf = (event) => {
    const row = Math.floor((event.clientY - plot.getBoundingClientRect().top) / 20);
    return figure.id === "fig-heatmap" && row >= 0 && row < data.heat.names.length ? row : undefined;
  };
  plot.addEventListener("pointerdown", (event) => {
    readAt(timeOf(event), rowOf(event));
    if (event.pointerType !== "mouse" || event.button !== 0) return;
    start = timeOf(event);
    plot.setPointerCapture(event.pointerId);
    event.preventDefault();
    plot.focus({ preventScroll: true });
  });
  plot.addEventListener("pointermove", (event) => {
    readAt(timeOf(event), rowOf(event));
    if (start !== null) select(start, timeOf(event));
  });
  plot.addEventListener("pointerup", (event) => {
    if (start === null) return;
    const end = timeOf(event);
    const dragged = Math.abs(figure.scale.x(end) - figure.scale.x(start)) > 5;
    const from = start;
    start = null;
    select(-1, -1);
    if (dragged) zoom(Math.min(from, end), Math.max(from, end));
  });
  plot.addEventListener("pointercancel", () => { start = null; select(-1, -1); });
  plot.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse" && start === null) clearReadings(); });
  plot.addEventListener("dblclick", () => zoom(0, data.span));
}

const middle = () => (view.from + view.to) / 2;
const pan = (part) => {
  const by = Math.min(data.span - view.to, Math.max(-view.from, (view.to - view.from) * part));
  zoom(view.from + by, view.to + by);
};
const keys = {
  ArrowLeft: () => pan(-0.2),
  ArrowRight: () => pan(0.2),
  "+": () => zoomAround(middle(), 0.5),
  "=": () => zoomAround(middle(), 0.5),
  "-": () => zoomAround(middle(), 2),
  0: () => zoom(0, data.span),
  Escape: () => zoom(0, data.span),
};
charts.addEventListener("keydown", (event) => {
  const action = event.ctrlKey || event.metaKey || event.altKey ? null : keys[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});
document.getElementById("closer").addEventListener("click", keys["+"]);
document.getElementById("wider").addEventListener("click", keys["-"]);
document.getElementById("reset").addEventListener("click", keys[0]);
for (const button of document.querySelectorAll("[data-window]")) {
  button.addEventListener("click", () => {
    zoomToWindow(data.windows.find((w) => String(w.id) === button.dataset.window));
    if (button.classList.contains("show")) charts.scrollIntoView();
  });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const card = document.getElementById("w" + button.dataset.copy);
    root.dataset.copied = textOf(card);
    const label = button.textContent;
    button.textContent = (await copy(root.dataset.copied)) ? "Copied" : "Could not copy";
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}

window.addEventListener("hashchange", zoomFromAddress);
let drawnWidth = 0;
new ResizeObserver(() => {
  // Only a new width is worth a new drawing; a caption that wraps is not.
  if (charts.clientWidth === drawnWidth) return;
  drawnWidth = charts.clientWidth;
  draw();
}).observe(charts);
darkQuery.addEventListener("change", draw);
for (const [name, on] of [["beforeprint", true], ["afterprint", false]]) {
  window.addEventListener(name, () => { printing = on; draw(); });
}
zoomFromAddress();
root.dataset.ready = "true";
