// The film: how the mosaic grew, from its journal `history.js`, played over the page until somebody touches anything.
//
// A journal line is `mosaicd.past("<crc>",{...});` and holds numbers alone: `g` generation, `t` time, `c` grid, `p`
// id, col, row triples placed or moved, `r` ids that left, `b` a base that begins anew. Works are cut from the mosaic as
// it is now; one that has left it since is an empty place.
(function (m) {
  'use strict';

  const STEP_MS = 700; // One generation, unless there are many:
  const FILM_MS = 30000; // the whole film takes no longer.
  const FIRST_SHARE = 0.25; // How much of it the first generation may take, when works come one by one.
  const END_MS = 1500;
  const STATES = 60; // Generations shown: each is kept whole.

  /** The lines of a journal; a damaged or torn one is left out. */
  m.parsePast = function (text) {
    const lines = [];
    for (const line of text.split('\n')) {
      const match = /^mosaicd\.past\("[0-9a-f]{8}",(\{.*\})\);$/.exec(line);
      if (!match) continue;
      try { lines.push(JSON.parse(match[1])); } catch { /* torn */ }
    }
    return lines;
  };

  /**
   * Generations as full states: `[{time, cols, rows, cells: Map(id → {x, y})}]`, oldest first. Of many, every second,
   * third, ... is taken, and always the last.
   */
  m.statesOf = function (lines) {
    const states = [];
    const cells = new Map();
    const every = Math.ceil(lines.length / STATES);
    lines.forEach((line, n) => {
      if (line.b) cells.clear();
      for (const id of line.r || []) cells.delete(id);
      const placed = line.p || [];
      for (let i = 0; i + 2 < placed.length; i += 3) cells.set(placed[i], { x: placed[i + 1], y: placed[i + 2] });
      const [cols, rows] = line.c;
      const taken = n % every === 0 || n === lines.length - 1;
      if (taken && cells.size && cols > 0 && rows > 0) states.push({ time: line.t, cols, rows, cells: new Map(cells) });
    });
    return states;
  };

  /** Where the film is at `ms`: `{index, t}`, between state `index - 1` and `index`; null after its end. */
  m.filmAt = function (count, ms) {
    const whole = Math.min(FILM_MS, (count + 2) * STEP_MS);
    const first = count === 1 ? whole : Math.max(whole / count, whole * FIRST_SHARE);
    if (ms < first) return { index: 0, t: ms / first };
    const step = (whole - first) / Math.max(1, count - 1);
    const at = (ms - first) / step;
    if (at < count - 1) return { index: 1 + Math.floor(at), t: at % 1 };
    return ms < whole + END_MS ? { index: count - 1, t: 1 } : null;
  };

  async function readPast() {
    if (location.protocol !== 'file:') {
      const answer = await fetch('history.js', { cache: 'no-cache', credentials: 'same-origin' });
      return answer.ok ? m.parsePast(await answer.text()) : [];
    }
    return new Promise((resolve) => {
      const lines = [];
      const script = document.createElement('script');
      m.past = (_, line) => { lines.push(line); };
      script.onload = script.onerror = () => { script.remove(); delete m.past; resolve(lines); };
      script.src = `history.js?${Date.now()}`;
      document.head.append(script);
    });
  }

  const ease = (t) => t * t * (3 - 2 * t);

  m.createFilm = function (app, scene) {
    const film = { on: false };
    let canvas = null;

    film.start = async () => {
      if (film.on || !app.model || !app.model.works.length) return;
      film.on = true;
      const states = m.statesOf(await readPast().catch(() => []));
      if (!states.length) { film.on = false; app.notify('No history yet'); return; }
      app.close();
      app.wander.stop();
      canvas = document.createElement('canvas');
      canvas.id = 'film';
      [canvas.width, canvas.height] = [app.canvas.width, app.canvas.height];
      document.body.append(canvas);
      document.body.classList.add('filming');
      const sheet = sheetOf(app.model);
      const began = performance.now();
      const draw = (now) => {
        const at = film.on && m.filmAt(states.length, now - began);
        if (!at) { film.stop(); return; }
        paint(states, at, sheet);
        requestAnimationFrame(draw);
      };
      requestAnimationFrame(draw);
    };
    film.stop = () => {
      film.on = false;
      if (!canvas) return;
      canvas.remove();
      canvas = null;
      document.body.classList.remove('filming');
      app.setCaption(null);
    };
    for (const kind of ['pointerdown', 'keydown', 'wheel']) {
      addEventListener(kind, (event) => { if (canvas) { film.stop(); event.stopPropagation(); } }, { capture: true });
    }

    /** The mosaic as it is now, small enough to be cut up every frame: `{picture, k}`, k pixels a cell. */
    function sheetOf(model) {
      const k = Math.max(1, Math.min(64, Math.floor(Math.min(canvas.width / model.cols, canvas.height / model.rows))));
      const picture = document.createElement('canvas');
      [picture.width, picture.height] = [model.cols * k, model.rows * k];
      const view = m.frameOf(model, { ox: 0, oy: 0, k, width: picture.width, height: picture.height });
      m.paintTiles(picture.getContext('2d'), model, app.tiles, view, { want() {} });
      return { picture, k, model };
    }

    function paint(states, { index, t }, { picture, k, model }) {
      const context = canvas.getContext('2d');
      const [to, from] = [states[index], states[Math.max(0, index - 1)]];
      const glide = index === 0 ? 1 : scene.reduced ? 1 : ease(t);
      const mix = (a, b) => a + (b - a) * glide;
      const [cols, rows] = [mix(from.cols, to.cols), mix(from.rows, to.rows)];
      const side = 0.92 * Math.min(canvas.width / cols, canvas.height / rows);
      const [ox, oy] = [(canvas.width - cols * side) / 2, (canvas.height - rows * side) / 2];
      context.fillStyle = `rgb(${scene.theme.rgb.join(',')})`;
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.imageSmoothingEnabled = true;
      let shown = 0;
      const ids = index === 0 ? [...to.cells.keys()].sort((a, b) => a - b).slice(0, Math.ceil(t * to.cells.size)) : to.cells.keys();
      for (const id of ids) {
        const end = to.cells.get(id);
        const start = index === 0 ? end : from.cells.get(id);
        context.globalAlpha = start ? 1 : glide;
        const [x, y] = start ? [mix(start.x, end.x), mix(start.y, end.y)] : [end.x, end.y];
        const work = model.works[model.byId.get(id)];
        if (work) context.drawImage(picture, work.col * k, work.row * k, k, k, ox + x * side, oy + y * side, side, side);
        shown += 1;
      }
      context.globalAlpha = 1;
      const day = new Date(to.time);
      byCaption(`${Number.isNaN(day.getTime()) ? '' : `${day.toLocaleDateString()} · `}${shown.toLocaleString()} works`);
    }

    function byCaption(text) {
      const caption = document.getElementById('caption');
      caption.textContent = text;
      document.body.classList.add('captioned');
    }

    return film;
  };

  /**
   * Works that came since the visitor was here last; remembers this visit. Numbers only ever grow, so the highest one
   * seen says it all. Nothing on a first visit.
   */
  m.sinceLastVisit = function (model, memory) {
    const key = `seen:${location.pathname}`;
    const highest = model.works.reduce((max, work) => Math.max(max, work.id), 0);
    const seen = Number(memory.get(key));
    memory.set(key, String(Math.max(highest, seen || 0)));
    return seen > 0 ? model.works.filter((work) => work.id > seen).map((work) => work.id) : [];
  };
})(window.mosaicd = window.mosaicd || {});
