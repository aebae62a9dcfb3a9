// What functions of the API are made of.
#pragma once

#define MEMIF_API __attribute__((visibility("default")))
#define MEMIF_DATA_API MEMIF_API __attribute__((flatten))  // in one piece
