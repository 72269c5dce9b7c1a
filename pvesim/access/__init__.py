"""Users, groups, roles, tokens, realms and the access control list: `/access`."""
