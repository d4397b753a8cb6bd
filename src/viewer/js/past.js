// The past: the journal `history.js` as steps of a time-lapse, and what came since a visitor was here last.
//
// A journal line is `mosaicd.past("<crc>",{...});` and holds numbers alone: `g` generation, `t` time, `c` grid, `p`
// id, col, row triples placed or moved, `r` ids that left, `d` how far works are from their homes on average, hundredths of a
// cell, `b` a base: all works of that generation. It is read when somebody asks
// for it, never before: it may be megabytes long. Draws nothing.
(function (m) {
  'use strict';

  const STEPS = 60; // Steps of a time-lapse; of a longer journal several generations make one.

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
   * The steps from nothing to the last generation: `[{time, cols, rows, drift, placed: Map(id → {x, y}), gone: Set(id)}]`.
   * `drift`: how many cells works are from their homes on average, undefined where no line says it. Each holds only what differs from the step before. With `since` all generations up to that one are the first step; there are
   * about `most` steps.
   */
  m.stepsOf = function (lines, since = 0, most = STEPS) {
    const steps = [];
    const there = new Set();
    const later = lines.filter((line) => line.g > since).length;
    const every = Math.ceil(later / most);
    let step = null;
    let taken = 0;
    lines.forEach((line, n) => {
      step = step || { placed: new Map(), gone: new Set() };
      const leave = (id) => { if (there.delete(id)) { step.gone.add(id); step.placed.delete(id); } };
      if (line.b) for (const id of [...there]) leave(id);
      for (const id of line.r || []) leave(id);
      const placed = line.p || [];
      for (let i = 0; i + 2 < placed.length; i += 3) {
        there.add(placed[i]);
        step.placed.set(placed[i], { x: placed[i + 1], y: placed[i + 2] });
        step.gone.delete(placed[i]);
      }
      taken += line.g > since;
      const [cols, rows] = line.c;
      const due = n === lines.length - 1 || (since && taken === 0 ? lines[n + 1].g > since : (taken - 1) % every === 0);
      if (!due || !there.size || !(cols > 0 && rows > 0)) return;
      steps.push({ time: line.t, cols, rows, drift: line.d === undefined ? undefined : line.d / 100, ...step });
      step = null;
    });
    return steps;
  };

  /** Works that are elsewhere now than they were in generation `since`, without those that came later. */
  m.movedSince = function (lines, since) {
    const [before, now] = [new Map(), new Map()];
    for (const line of lines) {
      for (const cells of line.g <= since ? [before, now] : [now]) {
        if (line.b) cells.clear();
        for (const id of line.r || []) cells.delete(id);
        const placed = line.p || [];
        for (let i = 0; i + 2 < placed.length; i += 3) cells.set(placed[i], `${placed[i + 1]},${placed[i + 2]}`);
      }
    }
    return [...before].filter(([id, cell]) => now.has(id) && now.get(id) !== cell).map(([id]) => id);
  };

  /** Reads the journal; no lines where there is none. */
  m.readPast = async function () {
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
  };

  /**
   * What came since the visitor was here last: `{arrived: [id], generation}` with the generation seen then; remembers
   * this visit. Numbers only ever grow, so the highest one seen says it all. Nothing on a first visit.
   */
  m.sinceLastVisit = function (model, memory) {
    const key = `seen:${location.pathname}`;
    const highest = model.works.reduce((max, work) => Math.max(max, work.id), 0);
    const [seen, generation] = String(memory.get(key) || '').split('/').map(Number);
    memory.set(key, `${Math.max(highest, seen || 0)}/${model.manifest.generation}`);
    const arrived = seen > 0 ? model.works.filter((work) => work.id > seen).map((work) => work.id) : [];
    return { arrived, generation: generation || 0 };
  };
})(window.mosaicd = window.mosaicd || {});
