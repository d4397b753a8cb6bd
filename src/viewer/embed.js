// <mosaic-wall src="https://example.org/mosaic/">: the mosaic in a page of your own.
//
//   <script src="https://example.org/mosaic/embed.js"></script>
//   <mosaic-wall src="https://example.org/mosaic/"></mosaic-wall>
//
// `src` is the folder of the mosaic, by default the one of this script; `label` names the frame for screen readers; a
// size is set by style, as for any element. `target` opens what an address opens: `target="work=17"`.
(() => {
  'use strict';

  const here = document.currentScript ? new URL('.', document.currentScript.src).href : undefined;

  class MosaicWall extends HTMLElement {
    static observedAttributes = ['src', 'target', 'label'];

    connectedCallback() {
      if (!this.frame) {
        this.frame = document.createElement('iframe');
        this.frame.allow = 'fullscreen; clipboard-write';
        this.frame.loading = 'lazy';
        this.frame.style.cssText = 'display: block; width: 100%; height: 100%; border: 0';
        const style = document.createElement('style');
        style.textContent = ':host { display: block; width: 100%; aspect-ratio: 4 / 3; } :host([hidden]) { display: none; }';
        this.attachShadow({ mode: 'open' }).append(style, this.frame);
      }
      this.show();
    }

    attributeChangedCallback() { if (this.frame) this.show(); }

    show() {
      this.frame.title = this.getAttribute('label') || 'Mosaic';
      let url;
      try { url = new URL(this.getAttribute('src') || here, document.baseURI); } catch { return; }
      if (!/^(https?|file):$/.test(url.protocol)) return;
      url.search = 'embed';
      url.hash = this.getAttribute('target') || '';
      if (this.frame.src !== url.href) this.frame.src = url.href;
    }
  }

  if (!customElements.get('mosaic-wall')) customElements.define('mosaic-wall', MosaicWall);
})();
