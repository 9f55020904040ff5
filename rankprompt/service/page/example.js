// What a person may try who has no passages at hand.
export const EXAMPLE = {
  query: "why does bread dough rise",
  passages: [
    "Flour is ground from wheat, and white flour leaves out the bran and the germ.",
    "Bakers pay more for flour in years when the harvest of wheat is poor.",
    "Let the dough rest for an hour in a warm place before you shape it.",
    "Yeast makes bread rise: it feeds on the sugars in the dough and gives off carbon dioxide, "
      + "whose bubbles swell.",
    "Hot air balloons rise, for warm air is lighter than the cool air around it.",
    "Kneading joins gluten into a net that holds the gas in the dough, so that it rises instead "
      + "of leaking.",
    "A sourdough starter is a mixture of flour and water in which wild yeast and bacteria live.",
  ].join("\n"),
};
