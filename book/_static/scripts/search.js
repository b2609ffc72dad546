// The search: ranks the places of the index, PAGES, by the words of a query.
// A word counts the more the fewer places have it, and the most in a title;
// no place need have them all. Nothing is fetched and nothing kept, so it
// works from a file too.

// How much a word counts in a title, in other words for the title, in prose,
// in code; how much of a place's length it pays for; how many are shown.
const WEIGHTS = [4, 3, 1, 0.5];
const LENGTH = 0.5;
const SHOWN = 20;

// One word: converges, converging, convergence; dropped, drop; PyTorch, torch.
const ENDING = /(?<=...)(ations?|ences?|ers?|ing|ed|es|(?<![su])s|e)$/;

function stem(word) {
  let cut = word.replace("iz", "is").replace(/^py(?=torch)/, "");
  while (ENDING.test(cut)) cut = cut.replace(ENDING, "");
  return cut.replace(/([bdgmnprt])\1$/, "$1");
}

// zero_grad is three words, itself and its parts; 2.3026 is one.
function words(text) {
  const found = text.toLowerCase().match(/\d+(\.\d+)*|[^\W\d]\w*/g) ?? [];
  const parts = found.flatMap((word) => word.split("_").filter(Boolean));
  return [...found.filter((word) => word.includes("_")), ...parts].map(stem);
}

// For each word, the places that have it and how much it counts there.
const places = PAGES.flatMap(([page, chapter, ...sections]) =>
  sections.map(([anchor, title, ...texts]) =>
    ({ page, chapter, anchor, title, texts: [title, ...texts] })));
const index = new Map();
for (const place of places) {
  place.length = 0;
  place.texts.forEach((text, k) => {
    for (const word of words(text)) {
      place.length += WEIGHTS[k];
      if (!index.has(word)) index.set(word, new Map());
      const there = index.get(word);
      there.set(place, (there.get(place) ?? 0) + WEIGHTS[k]);
    }
  });
}
const mean = places.reduce((sum, { length }) => sum + length, 0)
  / places.length;

const having = (word) => index.get(word) ?? new Map();

function rank(query) {
  const scores = new Map();
  for (const word of new Set(words(query))) {
    const there = having(word);
    const rarity = Math.log(1 + places.length / there.size) - 0.6;
    for (const [place, count] of there) {
      const paid = 1 - LENGTH + LENGTH * place.length / mean;
      const score = rarity * count / (count + paid);
      scores.set(place, (scores.get(place) ?? 0) + score);
    }
  }
  return [...scores].sort(([, a], [, b]) => b - a).map(([place]) => place);
}

// -- The page --------------------------------------------------------------

// A piece of a place's prose, around the rarest of the words that it has.
function excerpt(prose, query) {
  const rarest = [...new Set(words(query))]
    .sort((a, b) => having(a).size - having(b).size)
    .map((word) => [...prose.matchAll(/\w+/g)]
      .find(([found]) => stem(found.toLowerCase()) === word))
    .find(Boolean);
  const from = prose.lastIndexOf(" ", Math.max(0, (rarest?.index ?? 0) - 60));
  const to = prose.lastIndexOf(" ", from + 200);
  const end = prose.length > from + 200 ? to : prose.length;
  return (from > 0 ? "…" : "") + prose.slice(from + 1, end)
    + (end < prose.length ? " …" : "");
}

function show(query) {
  const list = document.querySelector("#search-results");
  const found = rank(query);
  const add = (parent, tag, text, given = {}) =>
    parent.appendChild(Object.assign(document.createElement(tag), given,
      { textContent: text }));
  // On the page that it leads to, the theme marks the words that tell most.
  const marked = query.toLowerCase().match(/\w{3,}/g)?.filter((word) =>
    having(stem(word)).size < places.length / 4).join(" ") ?? "";
  list.replaceChildren();
  for (const { page, chapter, anchor, title, texts } of found.slice(0, SHOWN)) {
    const item = add(list, "li", "");
    const href = `${page}?highlight=${encodeURIComponent(marked)}#${anchor}`;
    add(item, "a", title, { href });
    if (title !== chapter) add(item, "span", chapter);
    add(item, "p", excerpt(texts[2], query), { className: "context" });
  }
  document.querySelector(".search-summary").textContent = found.length
    ? `Places found for “${query}”: ${found.length}, the best first.`
    : `Nothing here has any of these words: ${query}`;
}

// Enter in the field searches at once; a form elsewhere leads here with ?q=.
const form = document.querySelector(".bd-search-container form");
form.q.value = new URLSearchParams(location.search).get("q") ?? "";
form.addEventListener("submit", (event) => {
  event.preventDefault();
  show(form.q.value.trim());
  const typed = new URLSearchParams(new FormData(form));
  history.replaceState(null, "", `?${typed}`); // for whoever comes back
});
if (form.q.value.trim()) show(form.q.value.trim());
