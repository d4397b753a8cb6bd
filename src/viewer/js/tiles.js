// The tile cache: loads images by URL, keeps the ones in use, forgets the rest.
//
// A tile's name holds its content's hash, so a cached tile is never stale and is shared between generations. In every
// frame the page says which tiles it wants; what nobody wants any more leaves the queue unloaded.
(function (m) {
  'use strict';

  const PARALLEL = 8;
  const RETRY_MS = 2000;

  /** `onLoad()` after each arrival, `onFail()` after each failure (the tile's generation may have been collected). */
  m.createTiles = function ({ onLoad, onFail }) {
    const entries = new Map();
    const budgetBytes = (matchMedia('(pointer: coarse)').matches ? 96 : 256) * 2 ** 20;
    let wanted = new Map();
    let loading = 0;
    let bytes = 0;
    let tick = 0;
    const tiles = {
      /** While true nothing is forgotten: a transition holds pieces of old tiles. */
      hold: false,
      stats: () => ({ entries: entries.size, bytes, loading, wanted: wanted.size }),
    };

    /** The tile, if it is here: `{bitmap, since}`. */
    tiles.get = (url) => {
      const entry = entries.get(url);
      if (!entry || !entry.bitmap) return null;
      entry.used = tick;
      return entry;
    };
    /** Is there nothing more to wait for? (Loaded, or failed for now.) */
    tiles.settled = (url) => {
      const entry = entries.get(url);
      return Boolean(entry && (entry.bitmap || entry.failures));
    };
    /** Asks for a tile until the next `begin`; the lowest priority number loads first. */
    tiles.want = (url, priority) => {
      if (!url) return; // Which one it is, is still to be loaded.
      const entry = entries.get(url);
      if (entry && (entry.bitmap || entry.loading || performance.now() < entry.retryAt)) return;
      const before = wanted.get(url);
      if (before === undefined || priority < before) wanted.set(url, priority);
    };
    tiles.begin = () => { tick += 1; wanted = new Map(); };
    /** Starts as many loads as may run at the same time. */
    tiles.pump = () => {
      if (loading >= PARALLEL || !wanted.size) return;
      const urls = [...wanted].sort((a, b) => a[1] - b[1]).slice(0, PARALLEL - loading);
      for (const [url] of urls) {
        wanted.delete(url);
        load(url);
      }
    };

    /** Loads a tile before anything else; resolves when it is here or cannot be had. */
    tiles.first = (url) => (url && !entries.has(url) ? load(url, 'high') : Promise.resolve());

    function load(url, urgency) {
      const entry = entries.get(url) || { failures: 0, retryAt: 0, bitmap: null };
      Object.assign(entry, { loading: true, used: tick });
      entries.set(url, entry);
      loading += 1;
      return fetchBitmap(url, urgency).then((bitmap) => {
        Object.assign(entry, { bitmap, since: performance.now(), failures: 0 });
        entry.bytes = 4 * bitmap.width * bitmap.height;
        bytes += entry.bytes;
        forget();
      }, () => {
        entry.failures += 1;
        entry.retryAt = performance.now() + RETRY_MS * 2 ** Math.min(entry.failures, 5);
        setTimeout(onLoad, entry.retryAt - performance.now() + 20); // Whoever still wants it asks again then.
        onFail(url);
      }).finally(() => {
        entry.loading = false;
        loading -= 1;
        tiles.pump();
        onLoad();
      });
    }

    async function fetchBitmap(url, urgency = 'auto') {
      const image = new Image();
      image.decoding = 'async';
      image.fetchPriority = urgency;
      image.src = url;
      await image.decode();
      // A bitmap stays decoded; an image element may be decoded again in the middle of a pan.
      return window.createImageBitmap ? createImageBitmap(image) : image;
    }

    /** Drops the longest unused tiles above the budget. */
    function forget() {
      if (tiles.hold || bytes <= budgetBytes) return;
      const old = [...entries].filter(([, entry]) => entry.bitmap && entry.used < tick - 1)
        .sort((a, b) => a[1].used - b[1].used);
      for (const [url, entry] of old) {
        if (bytes <= 0.8 * budgetBytes) break;
        bytes -= entry.bytes;
        if (entry.bitmap.close) entry.bitmap.close();
        entries.delete(url);
      }
    }

    return tiles;
  };

  /**
   * The pieces of tiles that make up one cell, from the deepest level not above `level` that is wholly loaded.
   *
   * `{pieces: [{bitmap, sx, sy, sw, sh, u, v, w, h}], exact}`: source pixels, and where they go in the unit square;
   * `exact` when `level` itself was there. With `want` the tiles of `level` are asked for.
   */
  m.cellPieces = function (model, tiles, col, row, level, want) {
    for (let l = level; l >= model.pyramid.min; l -= 1) {
      const pieces = piecesAt(model, tiles, col, row, l, l === level ? want : null);
      if (pieces) return { pieces, exact: l === level };
    }
    return { pieces: [], exact: false };
  };

  function piecesAt(model, tiles, col, row, level, want) {
    const { cellPx, size, overlap, width, height, cols, rows } = model.pyramid.levels.get(level);
    const [x0, y0] = [col * cellPx, row * cellPx];
    const pieces = [];
    let whole = true;
    for (let r = Math.floor(y0 / size); r * size < y0 + cellPx - 1e-6 && r < rows; r += 1) {
      for (let c = Math.floor(x0 / size); c * size < x0 + cellPx - 1e-6 && c < cols; c += 1) {
        const url = model.pyramid.url(level, c, r);
        const tile = tiles.get(url);
        if (!tile) {
          whole = false;
          if (want) want(url);
          continue;
        }
        const left = Math.max(x0, c * size);
        const top = Math.max(y0, r * size);
        const right = Math.min(x0 + cellPx, (c + 1) * size, width);
        const bottom = Math.min(y0 + cellPx, (r + 1) * size, height);
        const [kx, ky] = m.tileRatio(model.pyramid.levels.get(level), c, r, tile.bitmap);
        pieces.push({
          bitmap: tile.bitmap,
          sx: (left - c * size + (c ? overlap : 0)) * kx, sy: (top - r * size + (r ? overlap : 0)) * ky,
          sw: (right - left) * kx, sh: (bottom - top) * ky,
          u: (left - x0) / cellPx, v: (top - y0) / cellPx, w: (right - left) / cellPx, h: (bottom - top) / cellPx,
        });
      }
    }
    return whole && pieces.length ? pieces : null;
  }

  /** Image pixels per level pixel: 1 but for a preview whose size is known only when it has loaded. */
  m.tileRatio = function (level, col, row, bitmap) {
    if (level.cols > 1 || level.rows > 1) return [1, 1];
    return [bitmap.width / level.width, bitmap.height / level.height];
  };

  /** Draws pieces of a cell into the rectangle x, y, w, h. */
  m.drawPieces = function (context, pieces, x, y, w, h) {
    for (const p of pieces) {
      const [left, top] = [Math.round(x + p.u * w), Math.round(y + p.v * h)];
      const [right, bottom] = [Math.round(x + (p.u + p.w) * w), Math.round(y + (p.v + p.h) * h)];
      if (right > left && bottom > top && p.sw > 0 && p.sh > 0) {
        context.drawImage(p.bitmap, p.sx, p.sy, p.sw, p.sh, left, top, right - left, bottom - top);
      }
    }
  };
})(window.mosaicd = window.mosaicd || {});
