for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.key ?? row.cells[column].textContent.trim();
      const order = (one, other) => key(one).localeCompare(key(other), undefined, {numeric: true});
      const number = (row) => Number(key(row));
      const numeric = [...body.rows].every((row) => !Number.isNaN(number(row)));
      const sign = down ? -1 : 1;
      body.append(...[...body.rows].sort((one, other) =>
        sign * (numeric ? number(one) - number(other) : order(one, other))));
    });
  });
}
