// The time-lapse: how the mosaic grew, from its journal, played over the page until somebody touches anything.
//
// Works are cut from the mosaic as it is now; one that has left it since is an empty place. Works that rest are kept in
// one picture, so that a frame costs what moves, not what is there.
(function (m) {
  'use strict';

  const STEP_MS = 700; // One generation, unless there are many:
  const LONGEST_MS = 30000; // the whole time-lapse takes no longer.
  const FIRST_SHARE = 0.25; // How much of it the first generation may take, when works come one by one.
  const ALL_THERE = 0.85; // The share of that after which it is complete.
  const END_MS = 1500;
  // Where the visitor asked for less motion: few steps, each a still picture for so long.
  const STILL_MS = 2500;
  const STILLS = 10;
  const SHEET_PX = 4096; // Longest side of the pictures that works are cut from and kept in.

  /** Where the time-lapse is at `ms`: `{index, t}`, on the way from step `index - 1` to `index`; null after its end. */
  m.timelapseAt = function (count, ms) {
    const whole = Math.min(LONGEST_MS, (count + 2) * STEP_MS);
    const first = count === 1 ? whole : Math.max(whole / count, whole * FIRST_SHARE);
    if (ms < first) return { index: 0, t: ms / first };
    const step = (whole - first) / Math.max(1, count - 1);
    const at = (ms - first) / step;
    if (at < count - 1) return { index: 1 + Math.floor(at), t: at % 1 };
    return ms < whole + END_MS ? { index: count - 1, t: 1 } : null;
  };

  /** The same where steps are still pictures. */
  m.stillAt = (count, ms) => (ms < count * STILL_MS ? { index: Math.floor(ms / STILL_MS), t: 1 } : null);

  const ease = (t) => t * t * (3 - 2 * t);
  const mix = (a, b, t) => a + (b - a) * t;

  m.createTimelapse = function (app, scene) {
    const timelapse = { on: false, paused: false };
    let canvas = null;
    let run = null; // The one that plays or loads; another start is another run.

    /** Plays the whole journal, or what came after generation `since`. */
    timelapse.start = async (since = 0) => {
      if (timelapse.on || !app.model || !app.model.works.length) return;
      timelapse.on = true;
      const own = run = {};
      const steps = m.stepsOf(await m.readPast().catch(() => []), since, scene.reduced ? STILLS : undefined);
      if (run !== own) return; // Left while it loaded.
      if (!steps.length) { timelapse.stop(); app.notify(m.t('timelapse.none')); return; }
      app.close();
      app.slideshow.stop();
      canvas = document.createElement('canvas');
      canvas.id = 'timelapse';
      [canvas.width, canvas.height] = [app.canvas.width, app.canvas.height];
      document.body.append(canvas);
      document.body.classList.add('timelapse-on');
      const reel = createReel(steps, app, since > 0 || scene.reduced);
      let [last, played] = [performance.now(), since && !scene.reduced ? m.timelapseAt.startOf(steps.length) : 0];
      const draw = (now) => {
        if (run !== own) return;
        if (!timelapse.paused) played += now - last;
        last = now;
        const at = (scene.reduced ? m.stillAt : m.timelapseAt)(steps.length, played);
        if (!at) { timelapse.stop(); return; }
        reel.turn(at);
        paint(reel, at);
        requestAnimationFrame(draw);
      };
      requestAnimationFrame(draw);
    };
    timelapse.stop = () => {
      Object.assign(timelapse, { on: false, paused: false });
      run = null;
      if (!canvas) return;
      canvas.remove();
      canvas = null;
      document.body.classList.remove('timelapse-on');
      app.setCaption(null);
      app.requestFrame();
    };
    const touched = (event) => {
      if (!timelapse.on) return;
      event.stopPropagation();
      if (event.key === ' ') { event.preventDefault(); timelapse.paused = !timelapse.paused; } else timelapse.stop();
    };
    for (const kind of ['pointerdown', 'keydown', 'wheel']) addEventListener(kind, touched, { capture: true });

    function paint(reel, { index, t }) {
      const context = canvas.getContext('2d');
      const [to, from] = [reel.steps[index], reel.steps[Math.max(0, index - 1)]];
      const glide = index === 0 || scene.reduced ? 1 : ease(t);
      const [cols, rows] = [mix(from.cols, to.cols, glide), mix(from.rows, to.rows, glide)];
      const side = 0.92 * Math.min(canvas.width / cols, canvas.height / rows);
      const [ox, oy] = [(canvas.width - cols * side) / 2, (canvas.height - rows * side) / 2];
      context.fillStyle = `rgb(${scene.theme.rgb.join(',')})`;
      context.fillRect(0, 0, canvas.width, canvas.height);
      const { resting, sheet, k } = reel;
      context.drawImage(resting, ox, oy, resting.width / k * side, resting.height / k * side);
      for (const { work, from: start, to: end } of reel.moving) {
        context.globalAlpha = start ? 1 : glide;
        const [x, y] = start ? [mix(start.x, end.x, glide), mix(start.y, end.y, glide)] : [end.x, end.y];
        context.drawImage(sheet, work.col * k, work.row * k, k, k, ox + x * side, oy + y * side, side, side);
      }
      context.globalAlpha = 1;
      const day = new Date(to.time);
      const drift = to.drift ? m.t('timelapse.drift', { n: Math.round(to.drift * 10) / 10 }) : '';
      const said = [Number.isNaN(day.getTime()) ? '' : day.toLocaleDateString(m.locale), m.t('works', { n: reel.count }), drift];
      app.setCaption(said.filter(Boolean).join(' · '));
    }

    return timelapse;
  };

  /** When the second of `count` steps begins, for a time-lapse that does not begin with nothing. */
  m.timelapseAt.startOf = (count) => {
    const whole = Math.min(LONGEST_MS, (count + 2) * STEP_MS);
    return count === 1 ? 0 : Math.max(0, Math.max(whole / count, whole * FIRST_SHARE) - STEP_MS);
  };

  /**
   * Turns the steps, the first one work by work or `atOnce`: `resting` is a picture of all works that do not move at
   * the moment, `k` pixels a cell, `moving` the others, `[{work, from, to}]` in cells, `count` how many works there are.
   */
  function createReel(steps, app, atOnce) {
    const { model } = app;
    const cols = Math.max(model.cols, ...steps.map((step) => step.cols));
    const rows = Math.max(model.rows, ...steps.map((step) => step.rows));
    const k = Math.max(1, Math.min(64, Math.floor(SHEET_PX / Math.max(cols, rows)),
      Math.ceil(Math.min(app.canvas.width / model.cols, app.canvas.height / model.rows))));
    const picture = (width, height) => Object.assign(document.createElement('canvas'), { width: width * k, height: height * k });
    const resting = picture(cols, rows);
    const sheet = picture(model.cols, model.rows);
    const context = resting.getContext('2d');
    const cells = new Map();
    const reel = { steps, resting, sheet, k, moving: [], count: 0 };
    const first = [...steps[0].placed.keys()].sort((a, b) => a - b);
    let index = 0;
    let crisp = false;

    const workOf = (id) => model.works[model.byId.get(id)];
    const put = (id, { x, y }) => {
      const work = workOf(id);
      if (work) context.drawImage(sheet, work.col * k, work.row * k, k, k, x * k, y * k, k, k);
    };
    const clear = ({ x, y }) => context.clearRect(x * k, y * k, k, k);

    /** The mosaic as it is now; what is not loaded yet is asked for, and painted when it is here. */
    function paintSheet() {
      const view = m.frameOf(model, { ox: 0, oy: 0, k, width: sheet.width, height: sheet.height });
      crisp = true;
      m.paintTiles(sheet.getContext('2d'), model, app.tiles, view, {
        want(url, distance) { crisp = app.tiles.settled(url) && crisp; app.tiles.want(url, distance); } });
      app.tiles.pump();
      for (const [id, cell] of cells) put(id, cell);
    }

    /** Brings what moved to rest and sets the next step in motion. */
    function next() {
      for (const [id, cell] of steps[index].placed) { cells.set(id, cell); put(id, cell); }
      index += 1;
      const { placed, gone } = steps[index];
      reel.moving = [];
      for (const id of gone) if (cells.has(id)) { clear(cells.get(id)); cells.delete(id); }
      for (const [id, to] of placed) {
        const from = cells.get(id);
        if (from) { clear(from); cells.delete(id); }
        const work = workOf(id);
        if (work) reel.moving.push({ work, from, to });
      }
      reel.count = cells.size + placed.size;
    }

    /** Turns to where it is. */
    reel.turn = (at) => {
      if (!crisp) paintSheet();
      while (index < at.index) next();
      if (index > 0) return;
      // The first step: works come in the order of their numbers.
      const until = atOnce ? first.length : Math.ceil(Math.min(1, at.t / ALL_THERE) * first.length);
      for (let i = cells.size; i < until; i += 1) {
        cells.set(first[i], steps[0].placed.get(first[i]));
        put(first[i], cells.get(first[i]));
      }
      reel.count = cells.size;
    };
    return reel;
  }
})(window.mosaicd = window.mosaicd || {});
