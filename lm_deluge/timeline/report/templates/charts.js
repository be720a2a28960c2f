"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const paint = (plot) => {
    const text = dark.matches ? "#c9d1db" : "#3c4654";
    const line = dark.matches ? "#303945" : "#dde3ea";
    const ground = dark.matches ? "#12161c" : "#ffffff";
    plot.setv({background_fill_color: ground, border_fill_color: ground});
    for (const axis of [...plot.below, ...plot.left]) {
      axis.setv({axis_label_text_color: text, major_label_text_color: text, axis_line_color: line,
        major_tick_line_color: line, minor_tick_line_color: null, axis_label_text_font_style: "normal",
        axis_label_text_font: "system-ui, sans-serif", major_label_text_font: "system-ui, sans-serif"});
    }
    for (const part of plot.center) {
      if ("grid_line_color" in part.properties) part.setv({grid_line_color: line});
      if ("label_text_color" in part.properties) {
        part.setv({label_text_color: text, background_fill_color: ground, label_text_font: "system-ui, sans-serif"});
      }
    }
  };
  const roots = () => Bokeh.documents.flatMap((page) => page.roots());
  const paintAll = () => roots().forEach(paint);
  dark.addEventListener("change", paintAll);
  const wanted = {{ charts.plot_count }};
  const begin = () => {
    if (roots().length < wanted) { setTimeout(begin, 20); return; }
    paintAll();
    document.documentElement.dataset.ready = "yes";
  };
  begin();
})();
