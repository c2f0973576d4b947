"""Where people and machines reach the node: application factory, configuration, command line, API and pages."""
