// Fills its heap with what it finds again: a collector that takes memory for its own that is not finds something else.
package main

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"os"
	"path/filepath"
)

type node struct {
	Name string
	Data []byte
	Next *node
}

func main() {
	var list *node
	for i := 0; i < 400; i++ {
		list = &node{fmt.Sprint(i), bytes.Repeat([]byte{byte(i)}, 1000+i), list}
		if err := os.WriteFile(fmt.Sprintf("f%03d", i%50), list.Data, 0o666); err != nil {
			panic(err)
		}
	}
	var packed bytes.Buffer
	if err := gob.NewEncoder(&packed).Encode(list); err != nil {
		panic(err)
	}
	if err := os.WriteFile("packed", packed.Bytes(), 0o666); err != nil {
		panic(err)
	}
	read, err := os.ReadFile("packed")
	if err != nil || !bytes.Equal(read, packed.Bytes()) {
		panic("the file is another one")
	}
	var again *node
	if err := gob.NewDecoder(bytes.NewReader(read)).Decode(&again); err != nil {
		panic(err)
	}
	count := 0
	for at := again; at != nil; at = at.Next {
		count += len(at.Data)
	}
	files := 0
	err = filepath.WalkDir(".", func(path string, entry os.DirEntry, err error) error {
		files++
		return err
	})
	if err != nil {
		panic(err)
	}
	if err := os.Rename("packed", "moved"); err != nil {
		panic(err)
	}
	if _, err := os.Stat("packed"); !os.IsNotExist(err) {
		panic("it is still there")
	}
	fmt.Println(count, files)
	os.Exit(7)
}
