// Shows the document the server has of itself: what can be asked, what is answered, and a form to try each.

const DOCUMENT = "/api/v1/openapi.json";
const METHODS = ["get", "post", "patch", "put", "delete"];
const SHOWN_BYTES = 100_000;

const routes = document.getElementById("routes");
const find = document.getElementById("find");
const token = document.getElementById("token");

/** An element with attributes and children; texts are never read as HTML. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function resolve(api, part) {
  const path = part?.$ref?.slice(2).split("/") ?? [];
  return path.length > 0 ? resolve(api, path.reduce((found, step) => found[step], api)) : part;
}

function kindOf(schema) {
  const kinds = [schema.type ?? "any"].flat().join(" or ");
  const limits = ["format", "minLength", "maxLength", "minimum", "maximum", "pattern"];
  const told = limits.filter((limit) => limit in schema).map((limit) => `${limit} ${schema[limit]}`);
  const choices = schema.enum ? [`one of ${schema.enum.join(", ")}`] : [];
  return [kinds, ...choices, ...told].join(", ");
}

/** A schema as lines of text, indented. */
function describe(api, given, indent = "") {
  const schema = resolve(api, given) ?? {};
  const parts = schema.allOf ?? schema.oneOf ?? schema.anyOf;
  if (parts) {
    const word = schema.allOf ? "and" : "or";
    return parts.map((part) => describe(api, part, indent)).join(`\n${indent}${word}\n`);
  }
  if (schema.properties) {
    const lines = Object.entries(schema.properties).map(([name, property]) => {
      const inner = resolve(api, property);
      const needed = schema.required?.includes(name) ? "" : "?";
      const why = inner.description ?? property.description;
      const nested = inner.properties || inner.items || inner.oneOf || inner.anyOf || inner.allOf;
      const kind = nested ? `\n${describe(api, inner, `${indent}    `)}` : ` ${kindOf(inner)}`;
      return `${indent}${name}${needed}:${kind}${why ? `  — ${why}` : ""}`;
    });
    return lines.join("\n");
  }
  if (schema.items) return `${indent}list of\n${describe(api, schema.items, `${indent}    `)}`;
  return `${indent}${kindOf(schema)}`;
}

/** Something to begin with in a form. */
function example(api, given) {
  const schema = resolve(api, given) ?? {};
  const parts = schema.oneOf ?? schema.anyOf ?? schema.allOf;
  if (parts) return example(api, parts.map((part) => resolve(api, part)).find((part) => part.type !== "null"));
  if (schema.properties) {
    const needed = Object.entries(schema.properties).filter(([name]) => schema.required?.includes(name));
    return Object.fromEntries(needed.map(([name, property]) => [name, example(api, property)]));
  }
  const kind = [schema.type].flat()[0];
  if (schema.format === "uuid") return "00000000-0000-4000-8000-000000000000";
  return { string: "…", integer: 1, number: 1, boolean: true, array: [] }[kind] ?? null;
}

function inputs(parameters) {
  return parameters.map((parameter) => {
    const input = make("input", { type: "text", "aria-label": parameter.name, autocomplete: "off" });
    if (parameter.required) input.required = true;
    const why = `${parameter.in}${parameter.required ? "" : ", may be left out"}; ${kindOf(parameter.schema)}`;
    const told = make("dd", {}, input, " ", make("span", { class: "fine" }, `${why}. ${parameter.description ?? ""}`));
    return { parameter, input, rows: [make("dt", {}, parameter.name), told] };
  });
}

function address(path, fields) {
  const query = new URLSearchParams();
  let filled = path;
  for (const { parameter, input } of fields) {
    if (parameter.in === "path") filled = filled.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    if (parameter.in === "query" && input.value !== "") query.set(parameter.name, input.value);
  }
  return query.size > 0 ? `${filled}?${query}` : filled;
}

async function ask(method, url, body) {
  const headers = {};
  if (token.value.trim()) headers["X-Companion-Person"] = token.value.trim();
  if (body) headers["Content-Type"] = "application/json";
  const response = await fetch(url, { method: method.toUpperCase(), headers, body: body || undefined });
  const told = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  const kind = response.headers.get("content-type") ?? "";
  const readable = kind === "" || /json|text|javascript|xml/.test(kind);
  const text = readable ? await response.text() : `${(await response.blob()).size} bytes of ${kind}`;
  return `${response.status} ${response.statusText}\n${told}\n\n${pretty(text).slice(0, SHOWN_BYTES)}`;
}

/** What may be longer than its room can be scrolled with the keyboard. */
const scrolled = (label) => ({ tabindex: "0", role: "group", "aria-label": label });

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** The form that sends a request and shows what came back. */
function trial(api, method, path, operation, fields) {
  const content = resolve(api, operation.requestBody)?.content?.["application/json"];
  const body = content && make("textarea", { "aria-label": "Body", spellcheck: "false" });
  if (body) body.value = JSON.stringify(example(api, content.schema), null, 2);
  const deletes = method === "delete";
  const send = make("button", deletes ? { class: "danger" } : {}, deletes ? "Send: this deletes" : "Send");
  const answer = make("pre", { ...scrolled("Answer"), "aria-live": "polite", hidden: "" });
  const form = make("form", {});
  if (fields.length > 0) form.append(make("h3", {}, "Takes"), make("dl", {}, ...fields.flatMap(({ rows }) => rows)));
  if (content) form.append(make("h3", {}, "Body"), make("pre", scrolled("Shape of the body"), describe(api, content.schema)), body);
  form.append(make("p", {}, send), answer);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    answer.hidden = false;
    answer.textContent = "…";
    answer.textContent = await ask(method, address(path, fields), body?.value).catch((error) => String(error));
  });
  return form;
}

function answers(api, operation) {
  const rows = Object.entries(operation.responses).flatMap(([status, given]) => {
    const response = resolve(api, given);
    const shapes = Object.entries(response.content ?? {}).map(([kind, { schema }]) => {
      const name = schema?.$ref?.split("/").pop();
      if (name === "ErrorBody") return make("span", { class: "fine" }, " (an error)");
      return make("pre", scrolled(kind), `${kind}\n${describe(api, schema, "  ")}`);
    });
    return [make("dt", {}, status), make("dd", {}, response.description, ...shapes)];
  });
  return make("dl", {}, ...rows);
}

function route(api, method, path, item) {
  const operation = item[method];
  const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map((one) => resolve(api, one));
  const heads = method === "get" && item.head ? " (and HEAD)" : "";
  const summary = make(
    "summary",
    {},
    make("span", { class: "method" }, method.toUpperCase()),
    make("code", {}, path),
    make("span", { class: "fine" }, `${operation.summary ?? ""}${heads}`),
  );
  const who = operation.security ? "Needs the person's token or cookie." : "";
  const inner = make("div", {}, make("p", {}, operation.description ?? "", who));
  const shown = make("details", { "data-route": `${method.toUpperCase()} ${path}` }, summary, inner);
  // Made when it is looked at: most are not.
  shown.addEventListener("toggle", () => {
    if (inner.childElementCount > 1) return;
    inner.append(trial(api, method, path, operation, inputs(parameters)), make("h3", {}, "Answers"), answers(api, operation));
  });
  shown.dataset.words = `${method} ${path} ${operation.summary} ${JSON.stringify(parameters)}`.toLowerCase();
  return shown;
}

function show(api) {
  const groups = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((name) => item[name])) {
      const tag = item[method].tags?.[0] ?? "other";
      groups.set(tag, [...(groups.get(tag) ?? []), route(api, method, path, item)]);
    }
  }
  const sections = [...groups].map(([tag, shown]) => make("section", {}, make("h2", {}, tag), ...shown));
  routes.replaceChildren(make("p", {}, `Version ${api.info.version}. ${api.info.description ?? ""}`), ...sections);
}

find.addEventListener("input", () => {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const shown of routes.querySelectorAll("details")) {
    shown.hidden = !words.every((word) => shown.dataset.words.includes(word));
  }
  for (const section of routes.querySelectorAll("section")) {
    section.hidden = !section.querySelector("details:not([hidden])");
  }
});

try {
  show(await (await fetch(DOCUMENT)).json());
} catch (error) {
  routes.textContent = `The document could not be shown: ${error}`;
}
routes.removeAttribute("aria-busy");
