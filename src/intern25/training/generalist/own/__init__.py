# SPDX-License-Identifier: MIT
"""A user's own data as tasks, one file a group of kinds."""
