// Stands in for the theme's file of this name: 1.4 MB that a page does not
// need, since its icons come from the style sheet and its fonts.
