"use strict";

// Sorting: a click on a column button orders the rows; unknown values stay last either way.
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const headers = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const body = table.tBodies[0];
  const key = (row, column) => {
    const cell = row.cells[column];
    if (cell.classList.contains("missing")) return null;
    return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
  };
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a === b ? 0 : a - b);
  const sortBy = (column) => {
    const header = headers[column];
    const now = header.getAttribute("aria-sort");
    const turned = { ascending: "descending", descending: "ascending" };
    const order = turned[now] ?? header.dataset.first;
    const sign = order === "ascending" ? 1 : -1;
    const rows = [...body.rows].map((row) => [key(row, column), row]);
    rows.sort(([a], [b]) =>
      a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b));
    body.append(...rows.map(([, row]) => row));
    for (const other of headers) other.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", order);
  };
  headers.forEach((header, column) =>
    header.querySelector("button").addEventListener("click", () => sortBy(column)));
}

// Films: one frame number for all strips of the page keeps every clip in step.
const bar = document.querySelector("[data-bar]");
if (bar) {
  for (const place of document.querySelectorAll("[data-of]")) {
    for (const source of [place.dataset.from, place.dataset.of]) {
      const copy = document.getElementById(source).cloneNode();
      copy.removeAttribute("id");
      copy.alt = "";
      place.append(copy);
    }
  }

  const gain = bar.querySelector("[data-gain]");
  const showGain = () => {
    document.documentElement.style.setProperty("--gain", gain.value);
    for (const shown of document.querySelectorAll("[data-gain-shown]")) {
      shown.textContent = gain.value;
    }
  };
  gain.addEventListener("change", showGain);
  showGain();

  const flip = bar.querySelector("[data-flip]");
  flip.addEventListener("click", () => {
    const isOn = flip.getAttribute("aria-pressed") !== "true";
    flip.setAttribute("aria-pressed", String(isOn));
    document.body.classList.toggle("flipped", isOn);
    for (const image of document.querySelectorAll("figure:not(.untouched) img[id]")) {
      image.dataset.own ??= image.src;
      const untouched = image.closest("article").querySelector(".untouched img");
      image.src = isOn ? untouched.src : image.dataset.own;
    }
  });

  const slider = bar.querySelector("[data-frame]");
  if (slider) {
    const millisecondsPerFrame = 125;
    const numFrames = Number(bar.dataset.frames);
    const prompts = [...document.querySelectorAll("article.prompt")];
    const play = bar.querySelector("[data-play]");
    let timer = null;
    const show = (frame) => {
      slider.value = String(frame);
      bar.querySelector("[data-count]").textContent = `${frame + 1} of ${numFrames}`;
      for (const prompt of prompts) {
        prompt.style.setProperty("--frame", String(frame % Number(prompt.dataset.frames)));
      }
    };
    const step = () => show((Number(slider.value) + 1) % numFrames);
    const run = (isRunning) => {
      clearInterval(timer);
      timer = isRunning ? setInterval(step, millisecondsPerFrame) : null;
      play.textContent = isRunning ? "Pause" : "Play";
      play.setAttribute("aria-pressed", String(isRunning));
    };
    play.addEventListener("click", () => run(timer === null));
    slider.addEventListener("input", () => {
      run(false);
      show(Number(slider.value));
    });
    const still = matchMedia("(prefers-reduced-motion: reduce)");
    still.addEventListener("change", () => still.matches && run(false));
    // A still page shows the middle of the clips, where most has happened.
    show(still.matches ? Math.floor(numFrames / 2) : 0);
    run(!still.matches);
  }
}

// Paper has no buttons to open what is folded.
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
});
