# SPDX-License-Identifier: MIT
"""Training: configurations, recipes, optimizer, schedule, the loop with exact resume."""
