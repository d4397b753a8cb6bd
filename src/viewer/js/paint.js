// Draws one frame: tiles, veils over dimmed and spare cells, gutters, works in motion, and the rings around a work.
//
// The cost of a frame depends on what is visible, not on how many works there are: tiles are addressed by position, and
// a veil is an image of one pixel per cell, made when a filter changes and stretched over the mosaic in one call.
(function (m) {
  'use strict';

  const FADE_MS = 140; // A sharper tile fades in over the coarser one that stood for it.
  const VEIL_MS = 260;
  const VEIL_ALPHA = 0.6;
  const TINT_ALPHA = 0.78;
  // CSS pixels per cell: up to the first a work is all in the colour of its value, from the second on it has a bar of it.
  const [TINTED, BARRED] = [36, 72];
  const LEAST_RECT = 8; // From this many device pixels per cell on, spare cells are covered one by one.
  const MAGNIFIED = 12; // Beyond this many device pixels per tile pixel, pixels are shown as pixels.

  /** Canvas pixels per CSS pixel now: all the screen has, or fewer while the view moves on a slow machine. */
  m.drawnDpr = (camera) => camera.dpr * (camera.detail || 1);

  /** The visible part of the world in a canvas of device pixels: `x(wx)`, `y(wy)`, `k` pixels per cell, cell bounds. */
  m.viewOf = function (camera, model) {
    const dpr = m.drawnDpr(camera);
    const k = camera.scale * dpr;
    const middle = camera.middle();
    const [ox, oy] = [middle.x * dpr - camera.x * k, middle.y * dpr - camera.y * k];
    const [width, height] = [Math.round(camera.width * dpr), Math.round(camera.height * dpr)];
    return m.frameOf(model, { ox, oy, k, width, height });
  };

  /** Completes a view with the range of cells that it shows, ends excluded. */
  m.frameOf = function (model, { ox, oy, k, width, height }) {
    const range = (o, length, count) => [
      Math.max(0, Math.min(count, Math.floor(-o / k))), Math.max(0, Math.min(count, Math.ceil((length - o) / k)))];
    const [c0, c1] = range(ox, width, model.cols);
    const [r0, r1] = range(oy, height, model.rows);
    return { ox, oy, k, width, height, c0, c1, r0, r1, x: (wx) => Math.round(ox + wx * k), y: (wy) => Math.round(oy + wy * k) };
  };

  /** Calls `visit(col, row, x, y)` for each tile of a level in view; x, y are device pixels, edges shared exactly. */
  m.eachTile = function (model, view, level, visit) {
    const { cellPx, size, cols, rows } = model.pyramid.levels.get(level);
    const span = size / cellPx; // A tile's side in cells.
    const c1 = Math.min(cols, Math.ceil(view.c1 / span));
    const r1 = Math.min(rows, Math.ceil(view.r1 / span));
    for (let row = Math.max(0, Math.floor(view.r0 / span)); row < r1; row += 1) {
      for (let col = Math.max(0, Math.floor(view.c0 / span)); col < c1; col += 1) visit(col, row, span);
    }
  };

  /**
   * Paints the mosaic at the level that suits the view; where a tile is missing, whatever coarser or finer one is here.
   *
   * Asks for missing tiles through `want(url, priority)`. True while a tile is still fading in.
   */
  m.paintTiles = function (context, model, tiles, view, { want, now = Infinity }) {
    const { pyramid } = model;
    const level = m.levelFor(pyramid, view.k);
    const magnified = view.k / pyramid.levels.get(level).cellPx > MAGNIFIED;
    context.imageSmoothingEnabled = !magnified;
    const [midCol, midRow] = [(view.c0 + view.c1) / 2, (view.r0 + view.r1) / 2];
    let fading = false;
    m.eachTile(model, view, level, (col, row, span) => {
      const url = pyramid.url(level, col, row);
      const tile = tiles.get(url);
      const age = tile ? now - tile.since : 0;
      if (!tile || age < FADE_MS) {
        paintStandIn(context, model, tiles, view, level, col, row);
      }
      if (!tile) {
        const distance = Math.hypot((col + 0.5) * span - midCol, (row + 0.5) * span - midRow) / span;
        want(url, distance);
        return;
      }
      if (age < FADE_MS) {
        fading = true;
        context.globalAlpha = Math.max(0, age / FADE_MS);
      }
      paintPart(context, view, pyramid.levels.get(level), tile, col, row, col, row, 1);
      context.globalAlpha = 1;
    });
    return fading;
  };

  /** Fills a missing tile's place with the nearest coarser tile, then with any finer ones on top. */
  function paintStandIn(context, model, tiles, view, level, col, row) {
    const { pyramid } = model;
    for (let up = 1; level - up >= pyramid.min; up += 1) {
      const [c, r] = [col >> up, row >> up];
      const tile = tiles.get(pyramid.url(level - up, c, r));
      if (tile) {
        paintPart(context, view, pyramid.levels.get(level - up), tile, c, r, col, row, 2 ** up);
        break;
      }
    }
    if (level === pyramid.max) return;
    const below = pyramid.levels.get(level + 1);
    for (let i = 0; i < 4; i += 1) {
      const [c, r] = [2 * col + (i & 1), 2 * row + (i >> 1)];
      const tile = c < below.cols && r < below.rows ? tiles.get(pyramid.url(level + 1, c, r)) : null;
      if (tile) paintPart(context, view, below, tile, c, r, c, r, 1);
    }
  }

  /**
   * Paints the part of the tile (c, r) that covers the place of the tile (col, row) `zoom` times smaller.
   *
   * With zoom 1 both are the same tile.
   */
  function paintPart(context, view, level, tile, c, r, col, row, zoom) {
    const part = level.size / zoom;
    const [left, top] = [col * part, row * part];
    const right = Math.min(left + part, level.width);
    const bottom = Math.min(top + part, level.height);
    const [x0, y0] = [view.x(left / level.cellPx), view.y(top / level.cellPx)];
    const [x1, y1] = [view.x(right / level.cellPx), view.y(bottom / level.cellPx)];
    if (x1 <= x0 || y1 <= y0) return;
    const [kx, ky] = m.tileRatio(level, c, r, tile.bitmap);
    const sx = left - c * level.size + (c ? level.overlap : 0);
    const sy = top - r * level.size + (r ? level.overlap : 0);
    context.drawImage(tile.bitmap, sx * kx, sy * ky, (right - left) * kx, (bottom - top) * ky, x0, y0, x1 - x0, y1 - y0);
  }

  /** An image of one pixel per cell in `colourOf(index)`, red, green, blue; clear where that is null. */
  m.createVeil = function (model, colourOf) {
    if (!model.cols || !model.rows) return null;
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [model.cols, model.rows];
    const context = canvas.getContext('2d');
    const image = context.createImageData(model.cols, model.rows);
    let any = false;
    model.cellOf.forEach((index, cell) => {
      const colour = colourOf(index);
      if (!colour) return;
      image.data.set(colour, 4 * cell);
      image.data[4 * cell + 3] = 255;
      any = true;
    });
    context.putImageData(image, 0, 0);
    return any ? canvas : null;
  };

  /**
   * Background over spare cells. Smoothing lets the background that a tile has there into the next pixels on any side where
   * a cell is no whole number of pixels, and further where a tile is magnified: so far around a cell it is covered too.
   *
   * A veil costs as much as all of the view, so cells of some size, mostly few, are covered one by one.
   */
  function paintSpare(context, view, { model, spare, theme }) {
    const whole = Number.isInteger(view.k);
    if (view.k < LEAST_RECT) {
      for (const shift of whole ? [0] : [0, 1]) paintVeil(context, view, spare, 1, shift);
      return;
    }
    const { cellPx } = model.pyramid.levels.get(m.levelFor(model.pyramid, view.k));
    // Half a pixel of the tile, and half of the canvas for rounding.
    const seam = whole && view.k <= cellPx ? 0 : Math.ceil((view.k / cellPx + 1) / 2);
    context.fillStyle = theme.background;
    for (let row = Math.max(0, view.r0 - 1); row < Math.min(model.rows, view.r1 + 1); row += 1) {
      const [y0, y1] = [view.y(row) - seam, view.y(row + 1) + seam];
      for (let col = Math.max(0, view.c0 - 1); col < Math.min(model.cols, view.c1 + 1); col += 1) {
        if (model.cellOf[row * model.cols + col] >= 0) continue;
        const x0 = view.x(col) - seam;
        context.fillRect(x0, y0, view.x(col + 1) + seam - x0, y1 - y0);
      }
    }
  }

  function paintVeil(context, view, veil, alpha, shift = 0) {
    const [w, h] = [Math.min(view.c1, veil.width) - view.c0, Math.min(view.r1, veil.height) - view.r0];
    if (w <= 0 || h <= 0 || alpha <= 0) return;
    context.globalAlpha = alpha;
    context.imageSmoothingEnabled = false;
    const [x, y] = [view.x(view.c0), view.y(view.r0)];
    context.drawImage(veil, view.c0, view.r0, w, h, x + shift, y + shift, view.x(view.c0 + w) - x, view.y(view.r0 + h) - y);
    context.globalAlpha = 1;
  }

  /** The colours of a column: over all of a work from afar, a bar below it where works are looked at one by one. */
  function paintTint(context, view, { model, tint, camera }, dpr) {
    const near = Math.max(0, Math.min(1, (camera.scale - TINTED) / (BARRED - TINTED)));
    if (tint.veil) paintVeil(context, view, tint.veil, TINT_ALPHA * (1 - near));
    if (!near) return;
    context.globalAlpha = near;
    const high = Math.max(4 * dpr, Math.round(0.05 * view.k));
    for (let row = view.r0; row < view.r1; row += 1) {
      for (let col = view.c0; col < view.c1; col += 1) {
        const colour = tint.colourOf(model.indexAt(col, row));
        if (!colour) continue;
        context.fillStyle = `rgb(${colour.join(',')})`;
        context.fillRect(view.x(col), view.y(row + 1) - high, view.x(col + 1) - view.x(col), high);
      }
    }
    context.globalAlpha = 1;
  }

  /** Narrow lines of background between works, once works are large enough to be looked at one by one. */
  function paintGutters(context, view, scale, dpr) {
    const gap = Math.min(7, (scale - 60) * 0.025) * dpr;
    if (gap <= 0.3) return;
    const [x0, y0, x1, y1] = [view.x(view.c0), view.y(view.r0), view.x(view.c1), view.y(view.r1)];
    for (let c = view.c0; c <= view.c1; c += 1) context.fillRect(view.x(c) - gap / 2, y0, gap, y1 - y0);
    for (let r = view.r0; r <= view.r1; r += 1) context.fillRect(x0, view.y(r) - gap / 2, x1 - x0, gap);
  }

  /** A ring around a cell that shows on any picture: light inside dark. */
  function paintRing(context, view, dpr, { col, row }, colour, width) {
    const [x, y] = [view.x(col), view.y(row)];
    const [w, h] = [view.x(col + 1) - x, view.y(row + 1) - y];
    const least = 10 * dpr; // A work of a few pixels gets a ring that can be seen.
    const grow = Math.max(0, (least - w) / 2);
    const line = width * dpr;
    const ring = (inset, style, thick) => {
      context.strokeStyle = style;
      context.lineWidth = thick;
      context.strokeRect(x - grow + inset, y - grow + inset, w + 2 * (grow - inset), h + 2 * (grow - inset));
    };
    ring(0, 'rgba(0,0,0,.65)', line + 4 * dpr);
    ring(0, colour, line);
  }

  /** A painter of scenes on `canvas`; see `draw` for what a scene is. */
  m.createPainter = function (canvas) {
    const context = canvas.getContext('2d', { alpha: false, desynchronized: false });
    const painter = { context };

    painter.resize = (width, height) => {
      if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    };
    /** A copy of what is on screen. */
    painter.snapshot = () => {
      const copy = document.createElement('canvas');
      [copy.width, copy.height] = [canvas.width, canvas.height];
      copy.getContext('2d').drawImage(canvas, 0, 0);
      return copy;
    };

    /**
     * Draws `{model, camera, tiles, theme, spare, veil, tint, rings, names, transition, reduced, hurry, rem}`; true if another frame is needed.
     *
     * `spare` is the veil over cells without a work, `veil` `{now, before, since}` the one over dimmed works, `tint`
     * `{veil, colourOf(index)}` the colours of a column or null,
     * `rings` a list of `{col, row, colour, width}`, `names` whether regions are named,
     * `rem` CSS pixels per rem.
     */
    painter.draw = (scene, now) => {
      const { model, camera, tiles, theme } = scene;
      context.globalAlpha = 1;
      context.fillStyle = theme.background;
      context.fillRect(0, 0, canvas.width, canvas.height);
      if (!model || !model.cols) return false;
      const view = m.viewOf(camera, model);
      context.imageSmoothingQuality = 'low'; // Never shrunk below half: bilinear is exact enough and cheapest.
      let again = m.paintTiles(context, model, tiles, view, {
        want: tiles.want, now: scene.reduced ? Infinity : now,
      });
      if (!scene.transition) {
        const wanted = { want: tiles.want, now: scene.reduced ? Infinity : now };
        again = m.paintRenditions(context, model, tiles, view, wanted) || again;
        context.imageSmoothingQuality = 'low';
      }
      if (scene.spare) paintSpare(context, view, scene);
      again = paintFilter(scene, view, now) || again;
      const dpr = m.drawnDpr(camera);
      if (scene.tint && !scene.transition) paintTint(context, view, scene, dpr);
      context.fillStyle = theme.background;
      if (scene.transition) again = scene.transition.paint(context, view, now, theme.background) || again;
      paintGutters(context, view, camera.scale, dpr);
      if (scene.names) m.paintRegions(context, view, model.regions, camera.scale, dpr, scene.rem);
      for (const ring of scene.rings) paintRing(context, view, dpr, ring, ring.colour, ring.width);
      return again;
    };

    function paintFilter({ veil, reduced, hurry }, view, now) {
      const t = reduced ? 1 : Math.min(1, (now - veil.since) / VEIL_MS);
      // Dimmed works go grey: they lose their colours, then most of their contrast. The first costs as much as all of the
      // view, so a slow machine leaves it out in motion.
      for (const [image, share] of [[t < 1 && veil.before, 1 - t], [veil.now, t]]) {
        if (!image) continue;
        context.globalCompositeOperation = 'saturation';
        if (!hurry) paintVeil(context, view, image, share);
        context.globalCompositeOperation = 'source-over';
        paintVeil(context, view, image, VEIL_ALPHA * share);
      }
      return t < 1;
    }

    return painter;
  };
})(window.mosaicd = window.mosaicd || {});
