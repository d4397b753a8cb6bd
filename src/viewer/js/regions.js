// Names of regions over the mosaic seen from afar: what the works there are called, as the manifest found it.
//
// They fade as works become large enough to speak for themselves. Larger regions go first; a name that would lie on
// another is left out.
(function (m) {
  'use strict';

  const MOST = 64;
  const GONE_PX = 72; // From this many CSS pixels per work there are no names; from half of it they fade.
  const LEAST_PX = 26; // A region that reaches less far than this from its middle has no room for a name.
  const [SMALLEST, LARGEST] = [12, 24]; // CSS pixels of type.

  /** The regions of a manifest that can be shown: `[{label, col, row, radius}]`, those with most works first. */
  m.regionsOf = function (manifest) {
    const regions = Array.isArray(manifest.regions) ? manifest.regions.slice(0, MOST) : [];
    return regions.flatMap((region) => {
      const { name, col, row, radius } = region || {};
      const label = typeof name === 'string' ? m.printable(name).slice(0, 40) : '';
      if (!label || ![col, row, radius].every(Number.isFinite)) return [];
      return [{ label: label[0].toUpperCase() + label.slice(1), col, row, radius }];
    });
  };

  /** Draws the names in view; `scale` is CSS pixels per cell, `dpr` canvas pixels per CSS pixel. */
  m.paintRegions = function (context, view, regions, scale, dpr) {
    const alpha = Math.min(1, 2 - (2 * scale) / GONE_PX);
    if (alpha <= 0) return;
    const taken = [];
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.lineJoin = 'round';
    context.globalAlpha = alpha;
    for (const { label, col, row, radius } of regions) {
      const reach = radius * scale;
      if (reach < LEAST_PX) continue;
      const px = dpr * Math.max(SMALLEST, Math.min(LARGEST, reach * 0.2));
      context.font = `600 ${px}px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif`;
      const half = context.measureText(label).width / 2 + 4 * dpr;
      const [x, y] = [view.x(col), view.y(row)];
      const box = [x - half, y - 0.7 * px, x + half, y + 0.7 * px];
      const outside = box[2] < 0 || box[3] < 0 || box[0] > view.width || box[1] > view.height;
      if (outside || taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) continue;
      taken.push(box);
      context.strokeStyle = 'rgba(12, 11, 10, .62)';
      context.lineWidth = 0.26 * px;
      context.strokeText(label, x, y);
      context.fillStyle = '#fffdf8';
      context.fillText(label, x, y);
    }
    context.globalAlpha = 1;
  };
})(window.mosaicd = window.mosaicd || {});
