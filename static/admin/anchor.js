// How a heading of the handbook is addressed: as GitHub and other readers of Markdown make it.

export const anchor = (heading) => heading.toLowerCase().replace(/[^a-z0-9 -]/g, "").replaceAll(" ", "-");
