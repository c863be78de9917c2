"""What only the browser knows: its width, the `/` key, that a change has arrived, that the server is quiet."""

from __future__ import annotations

from typing import ClassVar

import param
from panel.custom import JSComponent


class Browser(JSComponent):  # type: ignore[misc]  # panel ships no types
    """An invisible part of the page that reports to its session.

    It also draws the red line when no beat has come for five seconds, and goes on counting the age of the
    figures there, since nobody else can when the connection is lost.
    """

    width_px = param.Integer(default=0, doc="Inner width of the window, in px; 0 before the first report")
    beat = param.Integer(default=0, doc="Rises while the server is alive")
    as_of = param.String(default="", doc="UTC time of the newest figures")
    asked = param.Integer(default=0, doc="Number of the last change that the session wants confirmed")
    seen = param.Integer(default=0, doc="Number of the last change that the browser has drawn")

    _esm = """
    const QUIET_MS = 5000

    function deep_query(root, selector) {
      const found = root.querySelector(selector)
      if (found) { return found }
      for (const el of root.querySelectorAll("*")) {
        if (el.shadowRoot) {
          const inner = deep_query(el.shadowRoot, selector)
          if (inner) { return inner }
        }
      }
      return null
    }

    function typing(event) {
      const el = event.composedPath()[0]
      return el && (el.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(el.tagName))
    }

    export function render({model}) {
      const line = document.createElement("div")
      line.setAttribute("role", "alert")
      line.hidden = true
      line.className = "offline"
      let last = performance.now()
      let as_of = ""
      model.on("beat", () => { last = performance.now(); as_of = model.as_of })
      model.on("asked", () => requestAnimationFrame(() => { model.seen = model.asked }))
      const report = () => { if (model.width_px !== window.innerWidth) { model.width_px = window.innerWidth } }
      const key = (event) => {
        if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || typing(event)) { return }
        const input = deep_query(document, ".ms-search input") ?? deep_query(document, "input[placeholder^='Find']")
        if (input) { event.preventDefault(); input.focus(); input.select() }
      }
      const watch = setInterval(() => {
        const quiet = performance.now() - last
        const offline = model.beat > 0 && quiet > QUIET_MS
        document.documentElement.classList.toggle("ms-offline", offline)
        line.hidden = !offline
        if (offline) {
          line.textContent = "Connection lost. Figures are as of " + as_of + " UTC, " +
            Math.round(quiet / 1000) + " s old. Reload the page to go on."
        }
      }, 1000)
      window.addEventListener("keydown", key)
      window.addEventListener("resize", report)
      setTimeout(report, 500)
      model.on("remove", () => {
        clearInterval(watch)
        window.removeEventListener("keydown", key)
        window.removeEventListener("resize", report)
      })
      return line
    }
    """

    _stylesheets: ClassVar[list[str]] = [
        """
        .offline { position: fixed; left: 0; right: 0; top: 49px; z-index: 2000; padding: 7px 12px; font-size: 12px;
          font-weight: 700; background: var(--ms-downbg); color: var(--ms-down); }
        """
    ]
