"""Renderers over analysis objects: each turns the same summary into a terminal table, markdown or CSV."""
