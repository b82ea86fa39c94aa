"""The ground floor: errors, parameter rules, closed tables of kinds, seeds, clock and files. Knows no ML."""
