// Renditions: works uncropped, at a size in which one can look at them.
//
// Deep in the mosaic a work's rendition is drawn over its cell, cut as the cell is, so that a visitor zooms into the work
// and not into the pixels of its cell. Cells of a few more pixels than they have, and more works than a screen of them, are
// left to the tiles.
(function (m) {
  'use strict';

  const FROM = 1.3; // Drawn from this many device pixels per cell pixel on.
  const MOST = 48; // Works that are drawn from their renditions at the same time.
  const FADE_MS = 220;
  const SAMPLED = 300;
  const FILE = /^large\/[0-9a-f]{2}\/[0-9a-f]{32}-[0-9a-f]{8}-\d{1,5}x\d{1,5}\.jpg$/;
  const FITS = new Set(['cover', 'pre-crop', 'letterbox']);

  /** The rendition of a work, `{file, width, height}`, or null. */
  m.renditionOf = function (work) {
    const { file, width, height } = work.large || {};
    return typeof file === 'string' && FILE.test(file) && width > 0 && height > 0 ? { file, width, height } : null;
  };

  /** A rendition by its file's name without folder and extension, as blocks have it. */
  m.renditionNamed = function (name) {
    const [, width, height] = /-(\d+)x(\d+)$/.exec(name || '') || [];
    return width ? { file: `large/${name.slice(0, 2)}/${name}.jpg`, width: Number(width), height: Number(height) } : undefined;
  };

  /** The longest side of a rendition, pixels: as far as a few hundred works tell; 0 without renditions. */
  m.largestOf = function (model) {
    if (!FITS.has(model.manifest.fit)) return 0;
    if (model.manifest.parts) return model.manifest.large_px || 0;
    const sides = model.works.slice(0, SAMPLED).map(m.renditionOf).map((found) => (found ? Math.max(found.width, found.height) : 0));
    return Math.max(0, ...sides);
  };

  /**
   * The part of a `width` × `height` picture that its cell shows, as fractions of the picture, and where it lies in the
   * cell's unit square: `{sx, sy, sw, sh, x, y, w, h}`. As `artwork::cell` places it.
   */
  m.placeInCell = function (fit, width, height) {
    if (fit === 'pre-crop') return { sx: 0.25, sy: 0.25, sw: 0.5, sh: 0.5, x: 0, y: 0, w: 1, h: 1 };
    const [longest, shortest] = [Math.max(width, height), Math.min(width, height)];
    if (fit === 'letterbox') {
      const [w, h] = [width / longest, height / longest];
      return { sx: 0, sy: 0, sw: 1, sh: 1, x: (1 - w) / 2, y: (1 - h) / 2, w, h };
    }
    const [sw, sh] = [shortest / width, shortest / height];
    return { sx: (1 - sw) / 2, sy: (1 - sh) / 2, sw, sh, x: 0, y: 0, w: 1, h: 1 };
  };

  /** Asks for the renditions' names of the works in view, where they are not known yet. */
  function needAround(model, view) {
    const { parts } = model.manifest;
    if (!parts) return;
    const ids = [];
    for (let row = view.r0; row < view.r1; row += 1) {
      for (let col = view.c0; col < view.c1; col += 1) {
        const work = model.works[model.indexAt(col, row)];
        if (work) ids.push(work.id);
      }
    }
    parts.want(['near'], ids);
  }

  /** Draws renditions over the cells in view, and asks for those that are missing; true while one is fading in. */
  m.paintRenditions = function (context, model, tiles, view, { want, now = Infinity }) {
    const { pyramid, manifest } = model;
    if (view.k < FROM * pyramid.levels.get(pyramid.max).cellPx || !FITS.has(manifest.fit)) return false;
    if ((view.c1 - view.c0) * (view.r1 - view.r0) > MOST) return false;
    const [midCol, midRow] = [(view.width / 2 - view.ox) / view.k, (view.height / 2 - view.oy) / view.k];
    needAround(model, view);
    let fading = false;
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = 'high';
    for (let row = view.r0; row < view.r1; row += 1) {
      for (let col = view.c0; col < view.c1; col += 1) {
        const work = model.works[model.indexAt(col, row)];
        const rendition = work && m.renditionOf(work);
        if (!rendition) continue;
        const tile = tiles.get(rendition.file);
        if (!tile) {
          want(rendition.file, 1 + Math.hypot(col + 0.5 - midCol, row + 0.5 - midRow));
          continue;
        }
        const age = now - tile.since;
        fading = fading || age < FADE_MS;
        context.globalAlpha = Math.max(0, Math.min(1, age / FADE_MS));
        paint(context, view, tile.bitmap, col, row, m.placeInCell(manifest.fit, rendition.width, rendition.height));
      }
    }
    context.globalAlpha = 1;
    return fading;
  };

  function paint(context, view, bitmap, col, row, { sx, sy, sw, sh, x, y, w, h }) {
    const [left, top] = [view.x(col + x), view.y(row + y)];
    const [right, bottom] = [view.x(col + x + w), view.y(row + y + h)];
    if (right <= left || bottom <= top) return;
    const { width, height } = bitmap;
    context.drawImage(bitmap, sx * width, sy * height, sw * width, sh * height, left, top, right - left, bottom - top);
  }
})(window.mosaicd = window.mosaicd || {});
