// The browser's side of tables.py: a real <table> whose cells are written as text, one by one, when they change.
// Nothing here takes markup: every name from outside ends in textContent or an attribute.

const MINUS = "\u2212"
const missing = (v) => v == null || !Number.isFinite(v)
const formats = new Map()

function digits(v, decimals) {
  // Intl formatters are costly to make and cheap to keep.
  if (!formats.has(decimals)) {
    formats.set(decimals, new Intl.NumberFormat("en-US", {minimumFractionDigits: decimals, maximumFractionDigits: decimals}))
  }
  return formats.get(decimals).format(Math.abs(v))
}

const is_zero = (s) => /^[0.,]*$/.test(s)
const sign = (v, s, plus) => (is_zero(s) ? "" : v < 0 ? MINUS : plus ? "+" : "")

function span(cls, text) {
  const el = document.createElement("span")
  if (cls) { el.className = cls }
  if (text !== undefined) { el.textContent = text }
  return el
}

const nothing = () => [span("na", "–")]
const decimals_of = (column, row) => (typeof column.decimals === "string" ? row[column.decimals] : column.decimals ?? 0)

const draw = {
  dot(column, row) {
    const el = span(`dot dot-${row[column.field]}`)
    el.setAttribute("role", "img")
    el.setAttribute("aria-label", row[column.words])
    el.title = row[column.words]
    return [el]
  },
  name(column, row) {
    const el = span("nm", row[column.field])
    el.title = row[column.field]
    return [el]
  },
  text(column, row) {
    const el = span("soft", row[column.field])
    el.title = row[column.field]
    return [el]
  },
  price(column, row) {
    const v = row[column.field]
    const code = column.venue ? [span("v code", row[column.venue])] : []
    if (missing(v)) { return [...nothing(), span("frac"), ...code] }
    const [whole, rest] = digits(v, decimals_of(column, row)).split(".")
    return [document.createTextNode((v < 0 ? MINUS : "") + whole), span("frac", rest === undefined ? "" : `.${rest}`), ...code]
  },
  figure(column, row) {
    const v = row[column.field]
    if (missing(v)) { return nothing() }
    const s = digits(v, decimals_of(column, row))
    return [span(column.style ?? "", sign(v, s, column.signed) + s)]
  },
  moved(column, row) {
    const v = row[column.field]
    if (missing(v)) { return nothing() }
    const s = digits(v, decimals_of(column, row))
    if (is_zero(s)) { return [span("zero", s)] }
    const el = span((v < 0 ? "down" : "up") + (column.bold ? " b" : ""))
    if (column.arrow) { el.append(span("ar", v < 0 ? "▼" : "▲")) }
    el.append(sign(v, s, true) + s)
    return [el]
  },
  age(column, row) {
    const v = row[column.field]
    if (missing(v)) { return nothing() }
    const look = v >= 10 ? "late b" : v >= 3 ? "late" : "grey"
    return [span(look, v < 9.95 ? v.toFixed(1) : digits(v, 0))]
  },
  share(column, row) {
    return [span(row[column.field] < row[column.of] ? "late" : "", String(row[column.field])), span("v", `/${row[column.of]}`)]
  },
  tag(column, row) {
    return [row[column.field] ? span("tag tag-yes", "✓ yes") : span("tag tag-no", "✕ no")]
  },
  meter(column, row) {
    const bar = span("meter")
    const width = (v) => `${Math.max(0, Math.min(100, (v / 5) * 100)).toFixed(0)}%`
    const fill = document.createElement("i")
    const tick = document.createElement("u")
    fill.style.width = width(row[column.field])
    tick.style.left = width(row[column.limit])
    bar.setAttribute("aria-hidden", "true")
    bar.append(fill, tick)
    return [...draw.figure(column, row), bar]
  },
  spark(column, row) {
    const NS = "http://www.w3.org/2000/svg"
    const svg = document.createElementNS(NS, "svg")
    const path = document.createElementNS(NS, "path")
    svg.setAttribute("class", `spark ${row[column.way] < 0 ? "fell" : "rose"}`)
    svg.setAttribute("viewBox", "0 0 74 15")
    svg.setAttribute("preserveAspectRatio", "none")
    svg.setAttribute("aria-hidden", "true")
    path.setAttribute("d", row[column.field])
    svg.append(path)
    return [svg]
  },
}

export function render({model}) {
  const table = document.createElement("table")
  const head = table.createTHead().insertRow()
  let rows = new Map()
  let keys = []
  let sort = {field: null, way: 1}

  const bodies = new Map()
  const columns = () => model.columns
  const shown = () => columns().filter((column) => !model.hidden.includes(column.field)).length
  const reads = (column) => [column.field, column.decimals, column.venue, column.words, column.of, column.way, column.limit]

  function fill_cell(cell, column, row) {
    // Most figures repeat: a cell is drawn only when something that it shows has changed.
    const state = reads(column).map((field) => (typeof field === "string" ? row[field] : field)).join("|")
    if (cell.dataset.state === state) { return }
    cell.dataset.state = state
    cell.replaceChildren(...draw[column.kind](column, row))
  }

  function build_head() {
    head.replaceChildren()
    for (const column of columns()) {
      const th = document.createElement("th")
      th.scope = "col"
      th.className = `a-${column.align} c-${column.field}`
      th.style.width = column.width ? `${column.width}px` : "auto"
      if (column.title) {
        const button = document.createElement("button")
        button.textContent = column.title
        button.title = column.tooltip || `Sort by ${column.title}`
        button.addEventListener("click", () => {
          sort = {field: column.field, way: sort.field === column.field ? -sort.way : 1}
          build_marks()
          place()
        })
        th.append(button)
      } else {
        th.append(span("hidden", "State"))
      }
      head.append(th)
    }
    build_marks()
    hide()
  }

  function build_marks() {
    columns().forEach((column, i) => {
      const on = sort.field === column.field
      head.cells[i].setAttribute("aria-sort", on ? (sort.way > 0 ? "ascending" : "descending") : "none")
    })
  }

  function make_row(key) {
    const tr = document.createElement("tr")
    tr.tabIndex = 0
    tr.dataset.key = key
    for (const column of columns()) {
      tr.insertCell().className = `a-${column.align} c-${column.field}`
    }
    tr.addEventListener("click", () => { model.selected = key })
    tr.addEventListener("keydown", (event) => {
      const next = {ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling"}[event.key]
      if (next) {
        let other = tr[next]
        while (other && !other.dataset.key) { other = other[next] }
        other?.focus()
        event.preventDefault()
      } else if (event.key === "Enter" || event.key === " ") {
        model.selected = key
        event.preventDefault()
      }
    })
    return tr
  }

  function place() {
    const field = sort.field
    const order = [...keys]
    if (field !== null) {
      order.sort((a, b) => {
        const x = rows.get(a).data[field]
        const y = rows.get(b).data[field]
        if (x === y) { return 0 }
        if (x == null) { return 1 }
        if (y == null) { return -1 }
        return (x < y ? -1 : 1) * sort.way
      })
    }
    const groups = new Map()
    for (const key of order) {
      const group = model.group ? rows.get(key).data[model.group] : ""
      groups.set(group, [...(groups.get(group) ?? []), key])
    }
    const wanted = []
    // Groups keep the order in which they were first given, however the rows in them are sorted.
    const names = model.group ? [...new Set(keys.map((key) => rows.get(key).data[model.group]))] : [""]
    for (const name of names) {
      const body = bodies.get(name) ?? make_body(name)
      const trs = (groups.get(name) ?? []).map((key) => rows.get(key).tr)
      const now = [...body.rows].slice(name ? 1 : 0)
      if (name) { body.rows[0].cells[0].lastChild.textContent = `${trs.length}` }
      if (trs.length !== now.length || trs.some((tr, i) => tr !== now[i])) {
        body.replaceChildren(...(name ? [body.rows[0]] : []), ...trs)
      }
      wanted.push(body)
    }
    if (wanted.length !== table.tBodies.length || wanted.some((body, i) => body !== table.tBodies[i])) {
      for (const body of [...table.tBodies]) { body.remove() }
      table.append(...wanted)
    }
  }

  function make_body(name) {
    const body = document.createElement("tbody")
    if (name) {
      const tr = body.insertRow()
      tr.className = "group"
      const th = document.createElement("th")
      th.colSpan = shown()
      th.scope = "rowgroup"
      th.append(span("", name), span("n"))
      tr.append(th)
    }
    bodies.set(name, body)
    return body
  }

  function fill(changed) {
    const fields = new Set(changed)
    const touched = columns().map((column) => reads(column).some((field) => fields.has(field)))
    for (const key of keys) {
      const {tr, data} = rows.get(key)
      tr.classList.toggle("dim", Boolean(data.dim))
      columns().forEach((column, i) => { if (touched[i]) { fill_cell(tr.cells[i], column, data) } })
    }
  }

  function load() {
    const data = JSON.parse(model.rows || "{}")
    const fields = Object.keys(data)
    keys = data[model.key] ?? []
    const before = rows
    rows = new Map(keys.map((key, i) => {
      const row = before.get(key) ?? {tr: make_row(key), data: {}}
      for (const field of fields) { row.data[field] = data[field][i] }
      return [key, row]
    }))
    fill(fields)
    place()
    mark()
  }

  function patch() {
    const data = JSON.parse(model.patch || "{}")
    const fields = Object.keys(data)
    keys.forEach((key, i) => { for (const field of fields) { rows.get(key).data[field] = data[field][i] } })
    fill(fields)
    if (sort.field !== null && fields.includes(sort.field)) { place() }
  }

  function mark() {
    for (const [key, {tr}] of rows) { tr.setAttribute("aria-selected", String(key === model.selected)) }
  }

  function hide() {
    const css = model.hidden.map((field) => `.c-${field} { display: none; }`).join("\n")
    style.textContent = css
    // A group's row must not span columns that are not there: they would take their share of the width.
    for (const body of bodies.values()) {
      const group = body.querySelector("tr.group th")
      if (group) { group.colSpan = shown() }
    }
  }

  const style = document.createElement("style")
  const scroll = document.createElement("div")
  scroll.className = "scroll"
  scroll.append(style, table)
  build_head()
  load()
  patch()
  model.on("columns", build_head)
  model.on("rows", load)
  model.on("patch", patch)
  model.on("selected", mark)
  model.on("hidden", hide)
  return scroll
}
