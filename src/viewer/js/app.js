// Brings the parts together: makes them, gives each what it needs, and starts the page.
(function (m) {
  'use strict';

  const byId = (id) => document.getElementById(id);

  m.withTexts(() => {
    m.translate(document);

    const canvas = byId('mosaic');
    const camera = m.createCamera();
    const painter = m.createPainter(canvas);
    const app = m.app = {
      canvas, camera,
      model: null,
      cursor: null,
      cursorVisible: false,
      /** Milliseconds that each of the last frames took to draw: for measuring, oldest first. */
      frameTimes: [],
      /** Every work is of this week, so being new tells nothing. */
      allNew: false,
      /** Whether regions are named. */
      names: true,
    };
    const scene = {
      model: null, camera, spare: null, veil: { now: null, before: null, since: -1e9 }, tint: null, rings: [], names: true,
      transition: null, theme: null, reduced: false, rem: 16,
    };
    app.tiles = scene.tiles = m.createTiles({
      onLoad() { app.minimap.invalidate(); app.thumbs.refresh(false); app.generations.check(); app.requestFrame(); },
      onFail() { app.source.poll(); },
    });
    app.parts = m.createParts({
      onPart() { app.minimap.invalidate(); app.thumbs.refresh(false); app.generations.check(); app.requestFrame(); },
      onLost() { app.source.poll(); },
    });
    m.attachDetails(app);
    app.frames = m.createFrames(app, scene, painter);
    app.requestFrame = app.frames.request;

    let announceTimer = 0;
    /** Says something to screen readers, once the keys rest. */
    app.announce = (text) => {
      clearTimeout(announceTimer);
      announceTimer = setTimeout(() => { byId('live').textContent = text; }, 120);
    };
    /** A line below the mosaic: the name of the work that the slide show shows, the time-lapse's date. Null for none. */
    app.setCaption = (text) => {
      byId('caption').textContent = text || '';
      document.body.classList.toggle('captioned', Boolean(text));
    };

    app.notify = m.createNotice();
    app.generations = m.createGenerations(app, scene, painter);
    app.thumbs = m.createThumbs(app);
    app.minimap = m.createMinimap(app);
    app.card = m.createCard(app);
    app.large = m.createLarge(app);
    app.hover = m.createHover(app);
    app.search = m.createSearch(app);
    app.slideshow = m.createSlideshow(app);
    app.timelapse = m.createTimelapse(app, scene);
    app.help = m.createHelp();
    app.toggleFullscreen = m.attachFullscreen();
    m.attachFilters(app, scene);
    m.attachWorks(app);
    app.theme = m.createTheme((theme) => {
      scene.theme = theme;
      if (app.model) app.filtersRecolour();
      else app.requestFrame();
    });
    app.theme.apply();
    const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)');
    const setMotion = () => { camera.reduced = scene.reduced = reducedMotion.matches; };
    reducedMotion.addEventListener('change', setMotion);
    setMotion();
    app.address = m.attachAddress(app);
    m.attachKeys(app);
    const wake = m.createIdle(() => app.slideshow.stop());
    m.attachPointer(canvas, camera, {
      tap(x, y) {
        const work = app.hover.workAt(x, y);
        if (work) app.open(work.id);
        else app.close();
      },
      hover: app.hover.move,
      wake() { wake(); app.slideshow.stop(); },
      ownsWheel: m.createFrameGuard(app.notify),
    }, app.requestFrame);
    for (const [id, action] of [['home', app.home], ['search-open', () => app.search.open()],
      ['slideshow', () => app.slideshow.start()], ['timelapse-start', () => app.timelapse.start()],
      ['reload', () => location.reload()]]) byId(id).addEventListener('click', action);
    addEventListener('resize', app.frames.resize);
    const layout = new ResizeObserver(app.frames.layoutChanged);
    for (const id of ['masthead', 'tools']) layout.observe(byId(id));
    app.frames.resize();
    app.source = m.createSource({ parts: app.parts, onModel: app.generations.show, onManifest: app.generations.receive, onTrouble: app.generations.trouble });
    app.source.poll();
  });
})(window.mosaicd = window.mosaicd || {});
