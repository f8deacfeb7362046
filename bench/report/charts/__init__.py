"""Charts of a report as SVG text: pure functions of the view, in classes that a page or `svg.standalone` colours.

Plain SVG and no chart library: nothing to embed, it prints, it shows on GitHub, and its text is text.
"""
