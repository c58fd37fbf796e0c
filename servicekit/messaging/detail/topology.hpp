#pragma once

// Written at build time from contracts/events/topology.yaml, by tools/topology.
#include "servicekit/messaging/topology_table.hpp"
