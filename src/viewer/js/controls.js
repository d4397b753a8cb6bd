// The controls around the mosaic: theme, full screen, notices, help, and their fading when idle.
(function (m) {
  'use strict';

  const IDLE_MS = 4000;
  const NOTICE_MS = 7000;
  const THEMES = ['auto', 'light', 'dark'];
  const byId = (id) => document.getElementById(id);

  const remembered = m.remembered = {
    // From file: or with storage switched off, there is nothing to remember with.
    get(key) { try { return localStorage.getItem(`mosaicd.${key}`); } catch { return null; } },
    set(key, value) { try { localStorage.setItem(`mosaicd.${key}`, value); } catch { /* kept for this visit only */ } },
  };

  /** The theme switch; `onChange()` after every change, the system's included. */
  m.createTheme = function (onChange) {
    const system = matchMedia('(prefers-color-scheme: dark)');
    const theme = { background: '#000', rgb: [0, 0, 0], accent: '#fff' };
    let choice = THEMES.includes(remembered.get('theme')) ? remembered.get('theme') : 'auto';

    function apply() {
      const dark = choice === 'auto' ? system.matches : choice === 'dark';
      document.documentElement.dataset.theme = dark ? 'dark' : 'light';
      const style = getComputedStyle(document.documentElement);
      theme.background = style.getPropertyValue('--paper').trim();
      theme.accent = style.getPropertyValue('--accent').trim();
      theme.rgb = [1, 3, 5].map((at) => parseInt(theme.background.slice(at, at + 2), 16));
      byId('theme-colour').content = theme.background;
      const button = byId('theme');
      button.dataset.choice = choice;
      const label = m.t('theme', { choice: m.t(`theme.${choice}`) });
      button.title = m.withKey(label, 'T');
      button.setAttribute('aria-label', label);
      onChange(theme);
    }
    theme.next = () => {
      choice = THEMES[(THEMES.indexOf(choice) + 1) % THEMES.length];
      remembered.set('theme', choice);
      apply();
    };
    theme.apply = apply;
    system.addEventListener('change', apply);
    byId('theme').addEventListener('click', theme.next);
    return theme;
  };

  /** Full screen, where the browser has it. */
  m.attachFullscreen = function () {
    const button = byId('fullscreen');
    const root = document.documentElement;
    button.hidden = !document.fullscreenEnabled;
    const toggle = () => (document.fullscreenElement ? document.exitFullscreen() : root.requestFullscreen());
    button.addEventListener('click', () => toggle().catch(() => {}));
    document.addEventListener('fullscreenchange', () => {
      const on = Boolean(document.fullscreenElement);
      button.setAttribute('aria-pressed', String(on));
      button.setAttribute('aria-label', m.t(on ? 'fullscreen.leave' : 'fullscreen'));
      button.title = m.withKey(m.t(on ? 'fullscreen.leave' : 'fullscreen'), 'F');
    });
    return () => { if (!button.hidden) toggle().catch(() => {}); };
  };

  /**
   * Fades the controls when nobody does anything; the function it returns brings them back.
   *
   * A press where a faded control lies only brings it back: the visitor could not see what was there. `onWake()`
   * is called then.
   */
  m.createIdle = function (onWake) {
    let timer = 0;
    let swallowed = false; // The click that belongs to such a press is still to come.
    const sleep = () => {
      const busy = document.activeElement && document.activeElement.closest('.chrome')
        && document.activeElement.matches(':focus-visible');
      if (busy || document.querySelector('.chrome:hover')) wake();
      else document.body.classList.add('idle');
    };
    function wake() {
      document.body.classList.remove('idle');
      clearTimeout(timer);
      timer = setTimeout(sleep, IDLE_MS);
    }
    for (const kind of ['pointermove', 'pointerdown', 'keydown', 'focusin']) addEventListener(kind, wake, { passive: true });
    const faded = () => document.body.matches('.idle.deep, .slideshow-on, .timelapse-on');
    const below = ({ clientX: x, clientY: y }) => [...document.querySelectorAll('.chrome')].some((control) => {
      const box = control.getBoundingClientRect();
      return control.id !== 'masthead' && control.checkVisibility({ visibilityProperty: true })
        && x >= box.left && x <= box.right && y >= box.top && y <= box.bottom;
    });
    addEventListener('pointerdown', (event) => {
      swallowed = faded() && below(event);
      if (!swallowed) return;
      wake();
      onWake();
      event.stopPropagation();
    }, { capture: true });
    addEventListener('click', (event) => {
      if (!swallowed || !event.detail) return;
      swallowed = false;
      event.preventDefault();
      event.stopImmediatePropagation();
    }, { capture: true });
    wake();
    return wake;
  };

  /** A short notice at the foot of the page, with an optional action `{label, run}`. */
  m.createNotice = function () {
    const root = byId('notice');
    const text = byId('notice-text');
    const button = byId('notice-action');
    let timer = 0;
    let run = null;
    const hide = () => { root.classList.remove('visible'); button.hidden = true; run = null; };
    button.addEventListener('click', () => { const action = run; hide(); if (action) action(); });
    return (message, action) => {
      clearTimeout(timer);
      if (!message) { hide(); return; }
      text.textContent = message;
      button.hidden = !action;
      button.textContent = action ? action.label : '';
      run = action ? action.run : null;
      root.classList.add('visible');
      timer = setTimeout(hide, NOTICE_MS);
    };
  };

  /** The help sheet with the keyboard's commands. */
  m.createHelp = function () {
    const dialog = byId('help');
    byId('help-open').addEventListener('click', () => dialog.showModal());
    byId('help-close').addEventListener('click', () => dialog.close());
    dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
    return { toggle: () => (dialog.open ? dialog.close() : dialog.showModal()), isOpen: () => dialog.open };
  };
})(window.mosaicd = window.mosaicd || {});
