"""A bar chart as SVG, which is readable on a light and on a dark page."""

from xml.sax.saxutils import escape

WIDTH, LABELS, BAR, GAP = 760, 240, 22, 8
STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif; fill: #1f2328 }
  .title { font-weight: 600 }
  .kefu { fill: #0a7d4b }
  .peer { fill: #9aa4af }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .kefu { fill: #3fb37f }
    .peer { fill: #6e7781 }
  }
"""


def bars(groups):
    """`groups`: pairs of a title and a list of (name, value). The bars of a group are to one scale."""
    parts, y, described = [], 0, []
    for title, values in groups:
        y += 28
        parts.append(f'<text class="title" x="0" y="{y}">{escape(title)}</text>')
        y += 12
        widest = max(value for _, value in values)
        for name, value in values:
            length = max(2, (WIDTH - LABELS - 80) * value / widest)
            kind, middle = "kefu" if name.startswith("kefu") else "peer", y + BAR * 0.7
            parts.append(f'<text x="{LABELS - 10}" y="{middle:.0f}" text-anchor="end">{escape(name)}</text>')
            parts.append(f'<rect class="{kind}" x="{LABELS}" y="{y}" width="{length:.0f}" height="{BAR}" rx="3"/>')
            parts.append(f'<text x="{LABELS + length + 8:.0f}" y="{middle:.0f}">{value:,.0f}</text>')
            y += BAR + GAP
        described.append(title + ": " + ", ".join(f"{name} {value:,.0f}" for name, value in values))
        y += 8
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" role="img">\n'
        f"<title>{escape('. '.join(described))}</title>\n<style>{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )
