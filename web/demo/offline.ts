/** The page's service worker: it keeps the page's files and makes the page cross-origin isolated. */

const RELOADED = "caesura-reloaded";
const PATIENCE = 3000;

/**
 * Resolves when the service worker has taken control, or there is none; from then on, what the page loads is kept.
 *
 * Only headers of the page's own response can isolate it. Where the server sends none, the worker's copy of the page
 * has them, and the page reloads itself once.
 *
 * @param untouched whether the user has done nothing yet that a reload would lose
 */
export async function keepOffline(untouched: () => boolean): Promise<void> {
  const workers = navigator.serviceWorker;
  if (!workers) {
    return;
  }
  try {
    const controlled = new Promise((resolve) => {
      workers.addEventListener("controllerchange", resolve, { once: true });
    });
    await workers.register("sw.js");
    if (!workers.controller) {
      await Promise.race([controlled, new Promise((resolve) => setTimeout(resolve, PATIENCE))]);
    }
  } catch {
    return; // the browser forbids it, as some do in private windows
  }
  if (workers.controller && !crossOriginIsolated && untouched() && !sessionStorage.getItem(RELOADED)) {
    sessionStorage.setItem(RELOADED, "yes");
    location.reload();
    await new Promise(() => {}); // nothing is begun that the reload would end
  }
}
