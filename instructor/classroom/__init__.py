"""Giving the class: the schedule and what is made from it (plan, run sheet, slides), the clock, the board."""
