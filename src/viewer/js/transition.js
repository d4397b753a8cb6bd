// From one generation to the next: where to keep the camera, and which works glide, appear or leave on the way.
//
// Only works on screen take part. Pieces of pictures come from tiles that are already loaded, so nothing flashes: works
// that left fade out, then moved ones glide over a blank place, then new ones fade in.
(function (m) {
  'use strict';

  const GLIDE_MS = 1300;
  const CROSSFADE_MS = 500;
  const MANY = 2500; // More works in motion than this are a crossfade: the eye could not follow them anyway.

  const clamp01 = (value) => Math.min(1, Math.max(0, value));
  const ease = (t) => (t < 0.5 ? 4 * t * t * t : 1 - (2 - 2 * t) ** 3 / 2);

  /** Calls `visit(index)` for each work in the cells of a view. */
  m.eachVisible = function (model, view, visit) {
    for (let row = view.r0; row < view.r1; row += 1) {
      for (let col = view.c0; col < view.c1; col += 1) {
        const index = model.cellOf[row * model.cols + col];
        if (index >= 0) visit(index);
      }
    }
  };

  /**
   * How far the world moved under the visitor's eyes, in whole cells: the displacement that most works on screen share,
   * counting those near the middle (and the selected one) most.
   *
   * An inserted column moves everything beyond it by one; shifting the camera by as much keeps it still on screen.
   */
  m.worldShift = function (before, after, view, centre, selectedId) {
    const votes = new Map();
    const reach = Math.max(1, (view.c1 - view.c0 + view.r1 - view.r0) / 6);
    const weigh = (old) => {
      const far = Math.hypot(old.col + 0.5 - centre.x, old.row + 0.5 - centre.y) / reach;
      return Math.exp(-far * far) * (old.id === selectedId ? 20 : 1);
    };
    let still = 0;
    m.eachVisible(before, view, (index) => {
      const old = before.works[index];
      if (stands(old, after, 0, 0)) { still += weigh(old); return; }
      const next = after.works[after.byId.get(old.id)];
      if (!next) return;
      const key = `${next.col - old.col},${next.row - old.row}`;
      votes.set(key, (votes.get(key) || 0) + weigh(old));
    });
    votes.set('0,0', (votes.get('0,0') || 0) + still);
    let best = '0,0';
    for (const [key, weight] of votes) if (weight > (votes.get(best) || 0)) best = key;
    const [dx, dy] = best.split(',').map(Number);
    return { dx, dy };
  };

  /**
   * Whether a work stands, unchanged, in the cell of `model` that lies `dx`, `dy` from its own. Nearly all do: of 300,000 on the
   * screen looking each up by its id took half a second.
   */
  function stands(work, model, dx, dy) {
    const there = model.works[model.indexAt(work.col + dx, work.row + dy)];
    return there !== undefined && there.id === work.id && there.hash === work.hash;
  }

  /**
   * What to animate when `after` replaces `before`: views are those of the old and the new model on the same screen.
   *
   * `{movers, added, removed, changed, total}`; coordinates are cells of the new world.
   */
  m.diffVisible = function (before, after, oldView, newView, shift) {
    const movers = [];
    const added = [];
    const removed = [];
    const changed = [];
    const seen = new Set();
    const consider = (old, next) => {
      const from = { x: old.col + shift.dx, y: old.row + shift.dy };
      const to = { x: next.col, y: next.row };
      if (from.x !== to.x || from.y !== to.y) movers.push({ from, to, old, next });
      else if (old.hash !== next.hash) changed.push({ to, old });
    };
    m.eachVisible(before, oldView, (index) => {
      const old = before.works[index];
      if (stands(old, after, shift.dx, shift.dy)) return;
      const next = after.works[after.byId.get(old.id)];
      seen.add(old.id);
      if (next) consider(old, next);
      else removed.push({ to: { x: old.col + shift.dx, y: old.row + shift.dy }, old });
    });
    m.eachVisible(after, newView, (index) => {
      const next = after.works[index];
      if (stands(next, before, -shift.dx, -shift.dy) || seen.has(next.id)) return;
      const old = before.works[before.byId.get(next.id)];
      if (old) consider(old, next);
      else added.push({ to: { x: next.col, y: next.row } });
    });
    return { movers, added, removed, changed, total: movers.length + removed.length + changed.length };
  };

  /**
   * An animation of a diff; `paint(context, view, now, background)` draws over the new generation's tiles.
   *
   * `level` is the pyramid level to cut works from; `snapshot()` copies the screen for a crossfade.
   */
  m.createTransition = function ({ before, after, diff, level, tiles, now, snapshot }) {
    if (diff.total > MANY) return crossfade(snapshot(), now);
    const cut = (model, work) => m.cellPieces(model, tiles, work.col, work.row, Math.min(level, model.pyramid.max));
    for (const item of [...diff.movers, ...diff.removed, ...diff.changed]) {
      const there = cut(before, item.old);
      // A work that comes in from outside the screen is sharp only where it arrives.
      const best = there.exact || !item.next ? there : cut(after, item.next);
      item.pieces = best.pieces.length ? best.pieces : there.pieces;
    }
    // The works that travel furthest are drawn last, above the others.
    diff.movers.sort((a, b) => length(a) - length(b));
    return { paint: (...frame) => paintGlide(diff, now, ...frame) };
  };

  const length = ({ from, to }) => Math.hypot(to.x - from.x, to.y - from.y);

  function paintGlide({ movers, added, removed, changed }, start, context, view, now, background) {
    const t = clamp01((now - start) / GLIDE_MS);
    const side = view.k;
    const cell = (x, y) => [view.ox + x * side, view.oy + y * side, side, side];
    const cover = ({ to }) => {
      const [x, y] = [view.x(to.x), view.y(to.y)];
      context.fillRect(x, y, view.x(to.x + 1) - x, view.y(to.y + 1) - y);
    };
    const leaving = 1 - clamp01(t / 0.3);
    const gliding = ease(clamp01((t - 0.12) / 0.63));
    const arriving = clamp01((t - 0.68) / 0.32);
    context.imageSmoothingEnabled = true;
    context.fillStyle = background;
    movers.forEach(cover);
    context.globalAlpha = 1 - arriving;
    added.forEach(cover);
    context.globalAlpha = 1 - gliding;
    for (const { pieces, to } of changed) m.drawPieces(context, pieces, ...cell(to.x, to.y));
    context.globalAlpha = leaving;
    for (const { pieces, to } of removed) m.drawPieces(context, pieces, ...cell(to.x, to.y));
    context.globalAlpha = 1;
    for (const { pieces, from, to } of movers) {
      const [x, y] = [from.x + (to.x - from.x) * gliding, from.y + (to.y - from.y) * gliding];
      m.drawPieces(context, pieces, ...cell(x, y));
    }
    context.fillStyle = background;
    return t < 1;
  }

  function crossfade(picture, start) {
    return {
      /** The picture is of the screen, so it is worthless once the camera moves. */
      still: true,
      paint(context, view, now) {
        const t = clamp01((now - start) / CROSSFADE_MS);
        context.globalAlpha = 1 - t;
        if (t < 1) context.drawImage(picture, 0, 0);
        context.globalAlpha = 1;
        return t < 1;
      },
    };
  }
})(window.mosaicd = window.mosaicd || {});
