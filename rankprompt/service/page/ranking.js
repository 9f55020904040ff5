// Builds what is shown of a ranking. Texts reach the page as textContent alone, so that no passage
// becomes markup.

export const number = (value, digits = 0) =>
  value.toLocaleString("en", { maximumFractionDigits: digits });
export const count = (value, noun) => `${number(value)} ${noun}${value === 1 ? "" : "s"}`;

/** A score as text. */
const decimal = (value) => value > 0 && value < 0.0001 ? "< 0.0001" : value.toFixed(4);

function make(name, text = "", kind = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

/** Where a passage was before, as marks to see and as words to hear. */
function movement(before, now) {
  const steps = before - now;
  const moved = make("small");
  const mark = make("span", steps > 0 ? `▲ ${steps} ` : steps < 0 ? `▼ ${-steps} ` : "",
    steps > 0 ? "gain" : "loss");
  mark.setAttribute("aria-hidden", "true");
  const words = steps > 0 ? `up ${steps}, ` : steps < 0 ? `down ${-steps}, ` : "not moved, ";
  moved.append(mark, make("span", words, "hidden"), `was ${before}`);
  return moved;
}

/** A result as a row of the table. */
export function row(result, place, documents) {
  const made = make("tr");
  const rank = make("th", String(place + 1));
  rank.scope = "row";
  rank.append(movement(result.index + 1, place + 1));
  const score = make("td", decimal(result.relevance_score));
  const bar = make("div", "", "bar");
  bar.append(make("div"));
  bar.firstChild.style.width = `${100 * Math.min(1, Math.max(0, result.relevance_score))}%`;
  score.append(bar);
  const text = make("td");
  text.append(make("div", documents[result.index], "passage"));
  text.firstChild.dir = "auto";
  made.append(rank, score, text);
  return made;
}

/** What the ranking cost, as pairs of a list of terms. */
export function costs(usage) {
  const journal = usage.prompts_from_journal;
  const facts = [
    ["Questions", number(usage.questions)],
    ["Prompts", number(usage.prompts)],
    ...(journal ? [["From the journal", number(journal)]] : []),
    ...(usage.unasked ? [["Beyond the budget", number(usage.unasked)]] : []),
    ["Tokens", number(usage.total_tokens)],
    ["Seconds", number(usage.seconds, 2)],
    ["Cost", number(usage.cost, 6)],
  ];
  return facts.map(([name, value]) => {
    const pair = make("div");
    pair.append(make("dt", name), make("dd", value));
    return pair;
  });
}
