// On a work's own page: opens the mosaic there. Who runs no script, as messengers do not, sees the page.
location.replace(document.querySelector('main a').href);
