// A second order, by a column, over the mosaic: every work in the colour of its value, and the legend of those colours.
//
// Pure but for the legend's element. Works stay where they are. Numbers, years above all, take a scale from dark to light in
// their order; of other values the most frequent have a colour each, and all others share one.
(function (m) {
  'use strict';

  // Lighter from stop to stop, so that the order can be read without telling colours apart.
  const SCALE = [[44, 31, 99], [122, 40, 130], [201, 62, 106], [243, 131, 72], [250, 222, 121]];
  const HUES = [[68, 119, 170], [238, 102, 119], [34, 136, 51], [221, 190, 60], [102, 204, 238], [170, 51, 119], [238, 119, 51],
    [0, 153, 136], [153, 119, 85]];
  const OTHERS = [140, 137, 130];

  const css = (rgb) => `rgb(${rgb.join(', ')})`;
  const numberOf = (name) => parseFloat(name.replace(',', '.'));

  /** The colour at `t` of the scale, 0 to 1. */
  function onScale(t) {
    const at = Math.max(0, Math.min(1, t)) * (SCALE.length - 1);
    const i = Math.min(SCALE.length - 2, Math.floor(at));
    return SCALE[i].map((value, c) => Math.round(value + (at - i) * (SCALE[i + 1][c] - value)));
  }

  /** The colours of a facet: `{name, numeric, ends, of(value) → rgb}`; `ends` are the lowest and the highest number. */
  m.coloursOf = function ({ name, numeric, values }) {
    const numbers = values.map((value) => numberOf(value.name));
    const ends = [Math.min(...numbers), Math.max(...numbers)];
    const ranks = new Map([...values].sort((a, b) => b.count - a.count).slice(0, HUES.length).map((value, i) => [value.name, HUES[i]]));
    const of = (value) => (numeric ? onScale((numberOf(value) - ends[0]) / (ends[1] - ends[0] || 1)) : ranks.get(value) || OTHERS);
    return { name, numeric, ends, of };
  };

  /** Shows in `element` what the colours mean: the scale with its ends, or for other values a dot of each hue. */
  m.paintLegend = function (element, { numeric, ends }) {
    const bar = document.createElement('span');
    bar.className = numeric ? 'scale' : 'scale dots';
    const stops = SCALE.map(css);
    const step = 100 / HUES.length;
    const dots = HUES.map((rgb, i) => `${css(rgb)} ${i * step}% ${(i + 1) * step}%`);
    bar.style.background = `linear-gradient(90deg, ${(numeric ? stops : dots).join(', ')})`;
    element.append(...(numeric ? [String(ends[0]), bar, String(ends[1])] : [bar]));
  };

  /** A swatch of a value's colour. */
  m.swatch = function (rgb) {
    const dot = document.createElement('span');
    dot.className = 'swatch';
    dot.style.background = css(rgb);
    return dot;
  };
})(window.mosaicd = window.mosaicd || {});
