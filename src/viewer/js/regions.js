// Names of regions over the mosaic seen from afar: what the works there are called or show, as the manifest found it,
// with further words below where there is room.
//
// They fade as works become large enough to speak for themselves. Larger regions go first; a name that would lie on
// another is left out.
(function (m) {
  'use strict';

  const MOST = 64;
  // Lengths in rem, so that names grow with the visitor's text and on large screens.
  const GONE = 4.5; // From this size of a work on there are no names; from half of it they fade.
  const LEAST = 1.6; // A region that reaches less far than this from its middle has no room for a name.
  const [SMALLEST, LARGEST] = [0.75, 1.5]; // Size of type.
  const WORDS_REACH = 2.9; // Words stand below the name of a region that reaches this far,
  const WORDS_TYPE = 0.62; // in type this much smaller,
  const WORDS = 3; // at most so many, and as many as fit its width.

  const labelOf = (text) => (typeof text === 'string' ? m.printable(text).slice(0, 40) : '');

  /** The regions of a manifest that can be shown: `[{label, words, col, row, radius}]`, those with most works first. */
  m.regionsOf = function (manifest) {
    const regions = Array.isArray(manifest.regions) ? manifest.regions.slice(0, MOST) : [];
    return regions.flatMap((region) => {
      const { name, col, row, radius } = region || {};
      const label = labelOf(name);
      if (!label || ![col, row, radius].every(Number.isFinite)) return [];
      const words = Array.isArray(region.words) ? region.words.slice(0, WORDS).map(labelOf).filter(Boolean) : [];
      return [{ label: label[0].toUpperCase() + label.slice(1), words, col, row, radius }];
    });
  };

  /** Draws the names in view; `scale` is CSS pixels per cell, `dpr` canvas pixels per CSS pixel, `rem` CSS pixels per rem. */
  m.paintRegions = function (context, view, regions, scale, dpr, rem) {
    const alpha = Math.min(1, 2 - (2 * scale) / (GONE * rem));
    if (alpha <= 0) return;
    const taken = [];
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.lineJoin = 'round';
    context.globalAlpha = alpha;
    for (const { label, words, col, row, radius } of regions) {
      const reach = radius * scale;
      if (reach < LEAST * rem) continue;
      const px = dpr * Math.max(SMALLEST * rem, Math.min(LARGEST * rem, reach * 0.2));
      const lines = [{ text: label, px, font: font(600, px) }];
      if (reach >= WORDS_REACH * rem) lines.push(below(context, words, Math.max(dpr * SMALLEST * rem * 0.9, px * WORDS_TYPE), 1.7 * reach * dpr));
      const half = Math.max(...lines.map((line) => width(context, line))) / 2 + 4 * dpr;
      const [x, y] = [view.x(col), view.y(row)];
      const under = lines.length > 1 && lines[1].text ? 1.3 * lines[1].px : 0;
      const box = [x - half, y - 0.7 * px, x + half, y + 0.7 * px + under];
      const outside = box[2] < 0 || box[3] < 0 || box[0] > view.width || box[1] > view.height;
      if (outside || taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) continue;
      taken.push(box);
      paintLine(context, lines[0], x, y);
      if (under) paintLine(context, lines[1], x, y + 0.65 * px + 0.6 * lines[1].px);
    }
    context.globalAlpha = 1;
  };

  const font = (weight, px) => `${weight} ${px}px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif`;

  function width(context, { text, font }) {
    context.font = font;
    return context.measureText(text).width;
  }

  /** The line below a name: as many words as fit `most` canvas pixels; its text is empty if none does. */
  function below(context, words, px, most) {
    const line = { text: '', px, font: font(500, px) };
    for (let count = words.length; count > 0; count--) {
      line.text = words.slice(0, count).map(m.isolated).join(' · ');
      if (width(context, line) <= most) return line;
    }
    return { ...line, text: '' };
  }

  function paintLine(context, { text, px, font }, x, y) {
    context.font = font;
    context.strokeStyle = 'rgba(12, 11, 10, .62)';
    context.lineWidth = 0.26 * px;
    context.strokeText(text, x, y);
    context.fillStyle = '#fffdf8';
    context.fillText(text, x, y);
  }
})(window.mosaicd = window.mosaicd || {});
