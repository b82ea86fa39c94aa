"""Conformance kits that ship with the package; nothing in mlwright imports them."""
